"""A machine that does to a site whatever can be done to it, in any order, and compares it with a naive model.

After every operation: nothing stored is wrong unless it is known to be stale, and a learner is told the truth at once.
In the end: everything stored is right, nobody is stale, and nothing of anybody who has gone is left.

The transactions are real: an aggregation that dies is rolled back, and what is to be done after a commit is done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from math import isclose
from typing import Any
from unittest.mock import patch

from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from opaque_keys.edx.keys import CourseKey

from completion_aggregator import handlers, models, services, tasks
from completion_aggregator.selectors import (
    find_course_snapshot,
    get_course_means,
    get_course_stats,
    get_course_summary,
    get_learner_completions,
    get_learner_trend,
    read_snapshot,
)
from completion_aggregator.services import aggregation
from completion_aggregator.services.structure import sync_course
from sample_lms import models as lms
from sample_lms.publishing import course_published
from tests.factories import block, complete, publish_course, usage_key
from tests.killing import Killed, dying, meanwhile
from tests.model import reference
from tests.model.reference import AGGREGATORS, ROOT, Part, Person, Values, long_key, percent

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)
COURSES = [CourseKey.from_string(f"course-v1:Org+{name}+Run") for name in ("Course", "Other")]
COHORTS = ("Red", "Blue")
#: From the top to the bottom: a block may be in any block of a higher level, and in several.
LEVELS = [
    [ROOT],
    ["chapter/c1", "chapter/c2"],
    ["sequential/s1", "sequential/s2"],
    ["vertical/v1", "vertical/v2", "vertical/v3"],
    ["library_content/l1", "discussion/d1"],
    ["html/h1", "html/h2", "problem/p1", "problem/p2", "video/m1"],
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
LEAVES = LEVELS[-1]
FIRST = {
    ROOT: ["chapter/c1"],
    "chapter/c1": ["sequential/s1"],
    "sequential/s1": ["vertical/v1", "vertical/v2"],
    "vertical/v1": ["html/h1", "html/h2", "discussion/d1"],
    "vertical/v2": ["library_content/l1"],
    "library_content/l1": ["problem/p1", "problem/p2"],
}
#: Whose rows an example begins without.
TABLES = (
    models.StaleCompletion,
    models.BlockAggregate,
    models.CourseAggregate,
    models.ReachedThreshold,
    models.LearnerSnapshot,
    models.CourseSnapshot,
    models.SnapshotWish,
    models.AggregatedChunk,
    models.CourseBlock,
    models.Course,
    BlockCompletion,
    lms.Enrollment,
    lms.CourseAccessRole,
    lms.CohortMembership,
    lms.Cohort,
    lms.LibrarySelection,
    lms.BlockLink,
    lms.Block,
    lms.Course,
    get_user_model(),
)
#: Of these, rows have a user.
PERSONAL = (
    models.StaleCompletion,
    models.BlockAggregate,
    models.CourseAggregate,
    models.ReachedThreshold,
    models.LearnerSnapshot,
)

learners = st.integers(0, 3)
courses = st.sampled_from(COURSES)
leaves = st.sampled_from(LEAVES)
completions = st.sampled_from([1.0, 0.5, 0.25, 0.0])  # their sums are exact in any order
#: At which statement something dies, and how; most often it does not.
deaths = st.none() | st.tuples(st.integers(1, 40), st.sampled_from([Killed, OperationalError]))
Death = tuple[int, type[BaseException]] | None
Stored = dict[str, Values]

#: How many operations of each kind were done in this process.
done: Counter[str] = Counter()


def operation(**strategies: Any) -> Callable[[Any], Any]:
    """Make a method an operation of the machine, which is counted."""

    def decorate(method: Any) -> Any:
        def act(self: Any, **arguments: Any) -> None:
            done[method.__name__] += 1
            self.now += timedelta(seconds=1)
            method(self, **arguments)

        act.__name__ = method.__name__
        return rule(**strategies)(act)

    return decorate


class Site(RuleBasedStateMachine):
    """The sample LMS with the aggregator on one side, `tests.model.reference` on the other."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGIN
        self.parts: dict[str, dict[str, Part]] = {}
        self.people: dict[int, Person] = {}
        #: User ids are counted here: hypothesis repeats itself, a database does not.
        self.last_user = 1_000
        self.retired: set[int] = set()
        #: Deleted by SQL: of them the cleanup has to delete what there is.
        self.vanished: set[int] = set()
        self.reader = 0
        self.stack = ExitStack()
        self.stack.enter_context(patch.object(timezone, "now", lambda: self.now))
        self.stack.enter_context(patch.object(aggregation._aggregate.retry, "sleep", lambda seconds: None))  # type: ignore[attr-defined]
        cache.clear()
        for model in TABLES:
            with connection.cursor() as cursor:
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(model._meta.db_table)}")
        for course_key in COURSES:
            self.parts[str(course_key)] = {name: Part(list(FIRST.get(name, ()))) for name in LEVEL}
            self.parts[str(course_key)]["library_content/l1"].max_count = 1
            self.parts[str(course_key)]["html/h2"].cohort = "Red"
            self.publish(course_key)
        self.begin()

    def begin(self) -> None:
        """Let somebody of each cohort have begun, so that little has to happen before something can go wrong."""
        for place, cohort in enumerate([*COHORTS, None]):
            for course_key in COURSES:
                self.enroll(place=place, course_key=course_key)
                self.change_cohort(place=place, course_key=course_key, name=cohort)
                self.complete(place=place, course_key=course_key, name="html/h2", value=1.0)
        self.catch_up()

    # --- learners and what they do ---

    def person(self, place: int) -> Person:
        """Return who has this place; somebody new when the last one has gone."""
        if place not in self.people:
            self.last_user += 1
            self.people[place] = Person(self.last_user)
            get_user_model().objects.create(pk=self.last_user, username=f"learner{self.last_user}")
        return self.people[place]

    @operation(place=learners, course_key=courses, name=leaves, value=completions)
    def complete(self, place: int, course_key: CourseKey, name: str, value: float) -> None:
        person = self.person(place)
        complete(self.user(person), name, value=value, course_key=course_key)
        self.note_completions(person, course_key)

    @operation(place=learners, course_key=courses, values=st.dictionaries(leaves, completions, min_size=1))
    def complete_several(self, place: int, course_key: CourseKey, values: dict[str, float]) -> None:
        person = self.person(place)
        batch = [(usage_key(name, course_key), value) for name, value in values.items()]
        BlockCompletion.objects.submit_batch_completion(self.user(person), batch)
        self.note_completions(person, course_key)

    @operation(place=learners, course_key=courses, names=st.sets(leaves, min_size=1), one_by_one=st.booleans())
    def uncomplete(self, place: int, course_key: CourseKey, names: set[str], one_by_one: bool) -> None:
        person = self.person(place)
        keys = [usage_key(name, course_key) for name in names]
        rows = BlockCompletion.objects.filter(user_id=person.user_id, block_key__in=keys)
        if one_by_one:
            for row in rows:
                row.delete()
        else:
            rows.delete()
        self.note_completions(person, course_key)

    @operation(place=learners, course_key=courses)
    def reset(self, place: int, course_key: CourseKey) -> None:
        person = self.person(place)
        BlockCompletion.objects.clear_learning_context_completion(self.user(person), course_key)
        self.note_completions(person, course_key)

    def note_completions(self, person: Person, course_key: CourseKey) -> None:
        """Read back what the LMS has now: when a completion was written is its own affair."""
        rows = BlockCompletion.objects.filter(user_id=person.user_id, context_key=course_key)
        person.done[str(course_key)] = {
            f"{row.block_type}/{row.block_key.block_id}": (row.completion, row.modified) for row in rows
        }

    @operation(place=learners, course_key=courses, name=st.permutations(["problem/p1", "problem/p2", "html/h1"]))
    def open_library(self, place: int, course_key: CourseKey, name: list[str]) -> None:
        person, library = self.person(place), "library_content/l1"
        drawn = name[:2]
        person.opened[str(course_key), library] = drawn
        lms.LibrarySelection.objects.update_or_create(
            user_id=person.user_id,
            course_id=course_key,
            library_key=long_key(str(course_key), library),
            defaults={"selected": [long_key(str(course_key), each) for each in drawn]},
        )

    # --- enrollments, cohorts, roles ---

    @operation(place=learners, course_key=courses)
    def enroll(self, place: int, course_key: CourseKey) -> None:
        person = self.person(place)
        person.enrolled.add(str(course_key))
        lms.Enrollment.objects.update_or_create(
            user_id=person.user_id, course_id=course_key, defaults={"is_active": True}
        )

    @operation(place=learners, course_key=courses, keep=st.booleans())
    def unenroll(self, place: int, course_key: CourseKey, keep: bool) -> None:
        person = self.person(place)
        person.enrolled.discard(str(course_key))
        for row in lms.Enrollment.objects.filter(user_id=person.user_id, course_id=course_key):
            if keep:
                row.is_active = False
                row.save()
            else:
                row.delete()

    @operation(place=learners, course_key=courses, name=st.sampled_from([*COHORTS, None]))
    def change_cohort(self, place: int, course_key: CourseKey, name: str | None) -> None:
        person = self.person(place)
        memberships = lms.CohortMembership.objects.filter(user_id=person.user_id, course_id=course_key)
        person.cohorts.pop(str(course_key), None)
        if name is None:
            memberships.delete()
            return
        person.cohorts[str(course_key)] = name
        cohort = lms.Cohort.objects.get(course_id=course_key, name=name)
        lms.CohortMembership.objects.update_or_create(
            user_id=person.user_id, course_id=course_key, defaults={"cohort": cohort}
        )

    @operation(place=learners, course_key=courses | st.none(), give=st.booleans())
    def change_role(self, place: int, course_key: CourseKey | None, give: bool) -> None:
        """Make somebody staff of a course or of its organisation, or nobody in particular again."""
        person = self.person(place)
        where = lms.CourseAccessRole.course_id.field.Empty if course_key is None else course_key
        lms.CourseAccessRole.objects.filter(user_id=person.user_id, course_id=where).delete()
        person.staff_in.discard(str(course_key or "Org"))
        if give:
            lms.CourseAccessRole.objects.create(
                user_id=person.user_id, org="Org", course_id=course_key or "", role="staff"
            )
            person.staff_in.add(str(course_key or "Org"))

    # --- users who get another name, or go ---

    @operation(place=learners, tell=st.booleans())
    def rename(self, place: int, tell: bool) -> None:
        user = self.user(self.person(place))
        user.username = f"{user.pk} at {self.now:%H%M%S}"
        if tell:
            user.save()
        else:
            get_user_model().objects.filter(pk=user.pk).update(username=user.username)

    @operation(place=learners, death=deaths)
    def retire(self, place: int, death: Death) -> None:
        """As Open edX does: all enrollments end, then two signals tell it; somewhere between, the name goes."""
        person = self.people.pop(place, None)
        if person is None:
            return
        for row in lms.Enrollment.objects.filter(user_id=person.user_id):
            row.is_active = False
            row.save()
        user = self.user(person)
        with dies(death):
            handlers.user_retired(object, user)
        get_user_model().objects.filter(pk=user.pk).update(username=f"retired__user_{user.pk}", is_active=False)
        handlers.user_retired(object, user)
        self.retired.add(user.pk)

    @operation(place=learners, how=st.sampled_from(["instance", "queryset", "SQL"]))
    def delete_user(self, place: int, how: str) -> None:
        person = self.people.pop(place, None)
        if person is None:
            return
        users = get_user_model().objects.filter(pk=person.user_id)
        if how == "instance":
            users.get().delete()
        elif how == "queryset":
            users.delete()
        else:
            self.vanished.add(person.user_id)
            for model in TABLES:
                if model.__module__ != models.__name__ and any(f.name == "user" for f in model._meta.fields):
                    rows = model._default_manager.filter(user_id=person.user_id)
                    rows._raw_delete(rows.db)
            users._raw_delete(users.db)

    # --- courses ---

    def publish(self, course_key: CourseKey, *, is_told: bool = True) -> None:
        """Publish a course as it is in the model: what is in it, depth first."""
        parts = self.parts[str(course_key)]
        order: dict[str, None] = {}

        def visit(name: str) -> None:
            if name not in order:
                order[name] = None
                for child in parts[name].children:
                    visit(child)

        visit(ROOT)
        receivers = course_published.receivers
        with patch.object(course_published, "receivers", receivers if is_told else []):
            course_published.sender_receivers_cache.clear()
            publish_course(
                [
                    block(
                        name,
                        *parts[name].children,
                        course_key=course_key,
                        staff_only=parts[name].staff_only,
                        optional=parts[name].optional,
                        cohorts=(parts[name].cohort,) if parts[name].cohort else (),
                        start=parts[name].start,
                        max_count=parts[name].max_count,
                    )
                    for name in order
                ],
                course_key,
                cohorts=COHORTS,
            )
        course_published.sender_receivers_cache.clear()

    @operation(
        course_key=courses,
        parent=st.sampled_from([name for level in LEVELS[:-1] for name in level]),
        child=st.sampled_from([name for level in LEVELS[1:] for name in level]),
        is_told=st.booleans(),
    )
    def put_in_or_take_out(self, course_key: CourseKey, parent: str, child: str, is_told: bool) -> None:
        """Publish with a block in one more parent, or in one less."""
        if LEVEL[child] <= LEVEL[parent]:
            return
        children = self.parts[str(course_key)][parent].children
        if child in children:
            children.remove(child)
        else:
            children.append(child)
        self.publish(course_key, is_told=is_told)

    @operation(
        course_key=courses,
        name=st.sampled_from([*LEVEL]),
        change=st.one_of(
            st.tuples(st.just("staff_only"), st.booleans()),
            st.tuples(st.just("optional"), st.booleans()),
            st.tuples(st.just("cohort"), st.sampled_from([*COHORTS, None])),
            st.tuples(st.just("start"), st.sampled_from([None, *(BEGIN + timedelta(days=n) for n in (1, 2, 40))])),
        ),
        is_told=st.booleans(),
    )
    def change_block(self, course_key: CourseKey, name: str, change: tuple[str, Any], is_told: bool) -> None:
        setattr(self.parts[str(course_key)][name], *change)
        self.publish(course_key, is_told=is_told)

    @operation(course_key=courses, count=st.integers(0, 2))
    def change_library(self, course_key: CourseKey, count: int) -> None:
        self.parts[str(course_key)]["library_content/l1"].max_count = count
        self.publish(course_key)

    @operation(course_key=courses, death=deaths)
    def publish_again(self, course_key: CourseKey, death: Death) -> None:
        with dies(death):
            self.publish(course_key)

    @operation(course_key=courses)
    def delete_course(self, course_key: CourseKey) -> None:
        """Until it is published again; what learners have done, and their enrollments, stay."""
        with transaction.atomic():
            lms.Course.objects.filter(course_key=course_key).delete()
            handlers.course_deleted(object, course_key)

    # --- the aggregator at work ---

    @operation()
    def catch_up(self) -> None:
        """Aggregate everybody who is due: only then can it be seen that somebody was not marked."""
        services.aggregate_stale()

    @operation(size=st.integers(1, 3), limit=st.integers(1, 4) | st.none(), death=deaths)
    def aggregate_stale(self, size: int, limit: int | None, death: Death) -> None:
        with dies(death):
            services.aggregate_stale(chunk_size=size, limit=limit)

    @operation(
        place=learners, course_key=courses, first=leaves, second=leaves, value=completions, at=st.integers(1, 20)
    )
    def complete_while_aggregating(
        self, place: int, course_key: CourseKey, first: str, second: str, value: float, at: int
    ) -> None:
        """Complete another block when the aggregation of the first one has come to some statement."""
        person = self.person(place)
        user = self.user(person)
        complete(user, first, course_key=course_key)
        with meanwhile(at, lambda: complete(user, second, value=value, course_key=course_key)):
            services.aggregate(course_key, [user.pk])
        self.note_completions(person, course_key)

    @operation(size=st.integers(1, 3), death=deaths)
    def dispatch(self, size: int, death: Death) -> None:
        """Send everybody to the workers; here, the tasks are done at once."""
        with dies(death):
            tasks.dispatch(chunk_size=size)

    @operation(places=st.sets(learners, min_size=1), course_key=courses, death=deaths)
    def aggregate(self, places: set[int], course_key: CourseKey, death: Death) -> None:
        """Aggregate some learners, stale or not; as when a task comes late, or a second time."""
        with dies(death):
            services.aggregate(course_key, [self.people[place].user_id for place in places if place in self.people])

    @operation(limit=st.integers(1, 4))
    def lose_messages(self, limit: int) -> None:
        """Claim learners whose tasks never arrive."""
        for _ in services.claim_stale_chunks(chunk_size=2, limit=limit):
            pass

    @operation(death=deaths)
    def clean_up(self, death: Death) -> None:
        with dies(death):
            services.clean_up()

    @operation(death=deaths)
    def take_snapshots(self, death: Death) -> None:
        with dies(death):
            services.take_snapshots(self.now)

    @operation()
    def read_means(self) -> None:
        get_course_means(COURSES)

    @operation(hours=st.sampled_from([1, 24, 24 * 40]))
    def pass_time(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    # --- what must be so ---

    @invariant()
    def nothing_is_wrong_without_being_known_to_be_stale(self) -> None:
        marked = set(models.StaleCompletion.objects.values_list("course_key", "user_id"))
        versions = {str(key): version for key, version in lms.Course.objects.values_list("course_key", "version")}
        known = {
            key: states for key, *states in models.Course.objects.values_list("course_key", "version", "next_change_at")
        }
        stored = self.stored()
        for key, person, expected in self.expected():
            version, change = known.get(key, ("", None))
            is_stale = (key, person.user_id) in marked or versions[key] != version or (change and change <= self.now)
            if not is_stale and (key in person.enrolled or (key, person.user_id) in stored):
                assert stored.get((key, person.user_id)) == expected, f"{person.user_id} in {key}"

    @invariant()
    def a_learner_is_told_the_truth(self) -> None:
        """One learner after the other."""
        if not self.people:
            return
        self.reader += 1
        person = [*self.people.values()][self.reader % len(self.people)]
        expected = {key: values for key, each, values in self.expected() if each is person}
        keys = [key for key in COURSES if str(key) in expected]
        for told in get_learner_completions(self.user(person), keys, block_types=AGGREGATORS):
            blocks = {key: tuple(tally) for of_type in told.blocks.values() for key, tally in of_type}
            assert blocks == expected[str(told.course_key)], f"{person.user_id} in {told.course_key}"
            assert tuple(told.tally) == blocks[long_key(str(told.course_key), ROOT)]

    @invariant()
    def all_values_are_possible(self) -> None:
        for earned, possible, done_of_all in models.CourseAggregate.objects.values_list(
            "earned", "possible", "percent"
        ):
            assert 0.0 <= earned <= possible
            assert 0.0 <= done_of_all <= 1.0

    @invariant()
    def nothing_is_left_of_whoever_has_gone(self) -> None:
        there = {person.user_id for person in self.people.values()} | self.vanished
        for model in PERSONAL:
            assert set(model._default_manager.values_list("user_id", flat=True)) <= there, model.__name__

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            self.stack.close()

    def settle(self) -> None:
        """Let the aggregator do all that there is to do; afterwards everything must be right."""
        self.now += timedelta(days=100)
        there = [key for key in COURSES if str(key) in {key for key, *_ in self.expected()}]
        for course_key in there:
            # A publication of which nobody was told is noticed with the next learner.
            sync_course(course_key)
        services.retry_failed()
        for _ in range(2):
            services.aggregate_stale()
        services.clean_up()
        assert not models.StaleCompletion.objects.filter(course_key__in=map(str, there)).exists()
        self.vanished.clear()
        self.nothing_is_left_of_whoever_has_gone()

        stored = self.stored()
        percents = {
            (key, user_id): value
            for key, user_id, value in models.CourseAggregate.objects.values_list(
                "course__course_key", "user_id", "percent"
            )
        }
        for key, person, expected in self.expected():
            place = key, person.user_id
            if key in person.enrolled or place in stored:
                assert stored.get(place) == expected, f"{person.user_id} in {key}"
                assert percents[place] == percent(expected[long_key(key, ROOT)])
        for course_key in there:
            self.check_figures(course_key)
        # A process that dies after its commit wishes for no snapshot: the next aggregation does.
        for course_key in there:
            services.mark_learners(course_key, [person.user_id for person in self.people.values()])
        services.aggregate_stale()
        for _ in range(2):
            self.now += timedelta(hours=1)
            services.take_snapshots(self.now)
        for course_key in there:
            self.check_snapshots(course_key, percents)

    def check_figures(self, course_key: CourseKey) -> None:
        """Compare mean and statistics of a course with those of the model."""
        key = str(course_key)
        root = long_key(key, ROOT)
        of_enrolled = [
            (person, expected[root])
            for each, person, expected in self.expected()
            if each == key and key in person.enrolled
        ]
        counted = [percent(sums) for person, sums in of_enrolled if not {key, "Org"} & person.staff_in]
        assert isclose(get_course_means([course_key])[course_key], sum(counted) / (len(counted) or 1), abs_tol=1e-9)
        stats = get_course_stats(course_key)
        number = len(of_enrolled) or 1
        assert isclose(stats.earned, sum(sums[0] for _, sums in of_enrolled) / number, abs_tol=1e-9)
        assert isclose(stats.possible, sum(sums[1] for _, sums in of_enrolled) / number, abs_tol=1e-9)

    def check_snapshots(self, course_key: CourseKey, percents: dict[tuple[str, int], float]) -> None:
        """Compare the newest snapshots of a course and its learners with what is stored."""
        key = str(course_key)
        snapshot = find_course_snapshot(course_key)
        if snapshot is not None:
            assert read_snapshot(course_key, snapshot).mean == get_course_summary(course_key).mean
        for (each, user_id), value in percents.items():
            if each == key:
                trend = get_learner_trend(course_key, user_id, days=3)
                assert (trend[-1].percent if trend else 0.0) == value

    # --- what there is, and what there should be ---

    def user(self, person: Person) -> Any:
        return get_user_model().objects.get(pk=person.user_id)

    def stored(self) -> dict[tuple[str, int], Stored]:
        """Return all stored rows: by course and user, then by block."""
        found: dict[tuple[str, int], Stored] = {}
        rows = models.BlockAggregate.objects.values_list(
            "block__course__course_key",
            "user_id",
            "block__block_key",
            "earned",
            "possible",
            "optional_earned",
            "optional_possible",
            "last_modified",
        )
        for course_key, user_id, block_key, *values in rows:
            found.setdefault((course_key, user_id), {})[block_key] = tuple(values)  # type: ignore[assignment]
        return found

    def expected(self) -> Iterator[tuple[str, Person, Stored]]:
        """Give what should be stored of everybody in each course that there is."""
        there = set(map(str, lms.Course.objects.values_list("course_key", flat=True)))
        for key, parts in self.parts.items():
            if key in there:
                for person in self.people.values():
                    values = reference.values(parts, key, person, self.now)
                    yield key, person, {long_key(key, name): each for name, each in values.items()}


@contextmanager
def dies(death: Death) -> Iterator[None]:
    """Let what is done in here die at a statement, as a killed process does, or have its connection fail there."""
    if death is None:
        yield
        return
    with suppress(Killed, OperationalError), dying(*death):
        yield
