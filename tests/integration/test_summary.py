"""The figures of a course, as they are now."""

from __future__ import annotations

import statistics
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.models import BlockAggregate, CourseAggregate, CourseBlock
from completion_aggregator.models import Course as AggregatedCourse
from completion_aggregator.selectors import CohortSummary, CourseSummary, SectionFunnel, get_course_summary
from completion_aggregator.selectors import summary as summary_module
from completion_aggregator.services import aggregate_stale, mark_learners
from completion_aggregator.services.structure import sync_course
from sample_lms.lms import SampleLMS
from sample_lms.models import Course, Enrollment
from tests.factories import (
    COURSE_KEY,
    SMALL_COURSE,
    CohortFactory,
    EnrollmentFactory,
    MembershipFactory,
    RoleFactory,
    UserFactory,
    block,
    complete,
    key,
    new_course_key,
    publish_course,
    small_course,
)

pytestmark = pytest.mark.django_db

ALL_SIX = ("html/h1", "html/h2", "problem/p1", "html/h3", "html/h4", "video/m1")
NOBODY = (0,) * 11


class PlainLMS(SampleLMS):
    """The sample LMS without cohorts."""

    capabilities = frozenset()

    def cohorts(self, course_key: Any) -> Any:
        raise self.lacks(next(iter(SampleLMS.capabilities)))


def learners(*done: int) -> list[Any]:
    """Enroll a learner for each number, who has done so many of the six things, and aggregate."""
    users = [EnrollmentFactory().user for _ in done]
    for user, number in zip(users, done, strict=True):
        complete(user, *ALL_SIX[:number])
    aggregate_stale()
    return users


def summary(course_key: CourseKey = COURSE_KEY, **fields: Any) -> CourseSummary:
    """Describe the figures of a course in which nobody is, but for some of them; the moment is not compared."""
    nothing: dict[str, Any] = {
        "display_name": "course/course",
        "sections": (
            SectionFunnel(key("chapter/c1", course_key), "chapter/c1", 0, 0, 0),
            SectionFunnel(key("chapter/c2", course_key), "chapter/c2", 0, 0, 0),
        ),
        "cohorts": (),
        "histogram": NOBODY,
    }
    counts = ("enrolled", "not_started", "in_progress", "completed", "never_aggregated", "stale", "at_risk")
    nothing |= dict.fromkeys(counts, 0) | dict.fromkeys(("mean", "median"), 0.0)
    return CourseSummary(**nothing | fields, course_key=course_key, computed_at=ANY_MOMENT)


class _Anything:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


ANY_MOMENT: Any = _Anything()


# --- what is counted ------------------------------------------------------------------------------------------------


def test_a_class_is_summed_up(course: Any) -> None:
    learners(6, 5, 4, 0)
    EnrollmentFactory()

    before = timezone.now()
    found = get_course_summary(COURSE_KEY)

    assert before <= found.computed_at <= timezone.now()
    assert found == summary(
        enrolled=5,
        not_started=2,
        in_progress=2,
        completed=1,
        never_aggregated=1,
        mean=pytest.approx(15 / 6 / 5),
        median=4 / 6,
        histogram=(2, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1),
        sections=(
            SectionFunnel(key("chapter/c1"), "chapter/c1", started=3, finished=3, learners=4),
            SectionFunnel(key("chapter/c2"), "chapter/c2", started=2, finished=1, learners=4),
        ),
        stale=1,
        at_risk=2,
    )
    assert found.started == 3


def test_whoever_has_left_does_not_count_and_whoever_has_a_role_does(course: Any) -> None:
    users = learners(6, 6, 3)
    Enrollment.objects.filter(user=users[0]).update(is_active=False)
    RoleFactory(user=users[1])
    aggregate_stale()
    mark_learners(COURSE_KEY, [users[0].pk])

    found = get_course_summary(COURSE_KEY)

    assert (found.enrolled, found.completed, found.mean, found.stale) == (2, 1, 0.75, 0)
    assert [section.started for section in found.sections] == [2, 1]


@pytest.mark.parametrize("course_key", [COURSE_KEY, CourseKey.from_string("Org/Course/Run")])
def test_other_courses_do_not_count(course_key: CourseKey) -> None:
    for each in (course_key, new_course_key()):
        publish_course(small_course(each), each)
        user = EnrollmentFactory(course_id=each).user
        complete(user, *ALL_SIX, course_key=each)
    aggregate_stale()

    assert get_course_summary(course_key) == summary(
        course_key,
        enrolled=1,
        completed=1,
        mean=1.0,
        median=1.0,
        histogram=(*NOBODY[1:], 1),
        sections=tuple(SectionFunnel(key(f"chapter/{c}", course_key), f"chapter/{c}", 1, 1, 1) for c in ("c1", "c2")),
    )


def test_a_course_without_learners_has_zeros(course: Any) -> None:
    assert get_course_summary(COURSE_KEY) == summary()


def test_a_course_that_nobody_knows_has_zeros_and_no_name(db: None) -> None:
    assert get_course_summary(COURSE_KEY) == summary(display_name="", sections=())


def test_a_course_in_other_letter_case_is_another_course(course: Any) -> None:
    learners(6, 3)
    other = CourseKey.from_string(str(COURSE_KEY).swapcase().replace("COURSE-V1", "course-v1"))

    assert get_course_summary(other) == summary(other, display_name="", sections=())


def test_a_course_that_was_deleted_keeps_its_figures_without_its_sections(course: Any) -> None:
    learners(6, 3)
    Course.objects.all().delete()

    found = get_course_summary(COURSE_KEY)

    assert (found.display_name, found.sections, found.enrolled, found.mean) == ("", (), 2, 0.75)


def test_sections_are_the_aggregated_blocks_below_the_course_as_published_now(course: Any) -> None:
    learners(6)
    publish_course(
        [
            block("course/course", "chapter/c2", "html/h1", "chapter/c3"),
            *(each for each in SMALL_COURSE if each.key in {key("chapter/c2"), key("sequential/s3")}),
            *(each for each in SMALL_COURSE if each.key in {key("vertical/v4"), key("html/h4"), key("video/m1")}),
            block("html/h1"),
            block("chapter/c3", "html/h9"),
            block("html/h9"),
        ]
    )

    assert get_course_summary(COURSE_KEY).sections == (
        SectionFunnel(key("chapter/c2"), "chapter/c2", 1, 1, 1),
        # Nobody was aggregated since it is there.
        SectionFunnel(key("chapter/c3"), "chapter/c3", 0, 0, 0),
    )


def test_a_section_is_counted_of_those_who_see_it_and_finished_by_nobody_where_nothing_counts() -> None:
    publish_course(
        [
            block("course/course", "chapter/c1", "chapter/c2", "chapter/c3"),
            block("chapter/c1", "html/h1", cohorts=("Owls",)),
            block("html/h1"),
            block("chapter/c2", "html/h2"),
            block("html/h2", optional=True),
            block("chapter/c3", "html/h3"),
            block("html/h3"),
        ],
        cohorts=["Owls"],
    )
    owl, ada = EnrollmentFactory().user, EnrollmentFactory().user
    MembershipFactory(user=owl, cohort_id=SampleLMS().cohorts(COURSE_KEY).popitem()[0], course_id=COURSE_KEY)
    complete(owl, "html/h1", "html/h2")
    complete(ada, "html/h2", "html/h3", value=0.5)
    aggregate_stale()

    sections = get_course_summary(COURSE_KEY).sections

    assert [(each.started, each.finished, each.learners) for each in sections] == [(1, 1, 1), (0, 0, 2), (1, 0, 2)]


def test_learners_with_an_open_marker_are_stale_once(course: Any) -> None:
    users = learners(6, 3, 0)
    mark_learners(COURSE_KEY, [users[0].pk, users[0].pk, users[2].pk])
    mark_learners(new_course_key(), [users[1].pk])

    assert get_course_summary(COURSE_KEY).stale == 2


def test_at_risk_is_who_is_quiet_and_not_far(course: Any, settings: Any) -> None:
    learners(0, 1, 1, 3, 6)
    EnrollmentFactory()
    long_ago = timezone.now() - timedelta(days=15)
    aggregates = CourseAggregate.objects.order_by("user_id")
    quiet = [row.user_id for row in aggregates][1::2]
    aggregates.filter(user_id__in=quiet).update(last_modified=long_ago)

    # Never there, or 15 days ago; the one with a half is far enough.
    assert get_course_summary(COURSE_KEY).at_risk == 3
    settings.COMPLETION_AGGREGATOR_AT_RISK_PERCENT = 0.51
    assert get_course_summary(COURSE_KEY).at_risk == 4
    settings.COMPLETION_AGGREGATOR_AT_RISK_DAYS = 16
    assert get_course_summary(COURSE_KEY).at_risk == 2


# --- cohorts --------------------------------------------------------------------------------------------------------


def test_cohorts_are_told_apart(course: Any) -> None:
    users = learners(6, 3, 3, 0, 1)
    Course.objects.update(cohorted=True)
    owls, bats, none = (CohortFactory(name=name) for name in ("owls", "bats", "none"))
    for user, cohort in zip(users, (owls, owls, bats, bats), strict=False):
        MembershipFactory(user=user, cohort=cohort)
    MembershipFactory(user=EnrollmentFactory(is_active=False).user, cohort=bats)

    assert get_course_summary(COURSE_KEY).cohorts == (
        CohortSummary(bats.pk, "bats", 2, 0.25),
        CohortSummary(none.pk, "none", 0, 0.0),
        CohortSummary(owls.pk, "owls", 2, 0.75),
        CohortSummary(None, "", 1, 1 / 6),
    )


def test_more_cohorts_than_one_query_takes(course: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary_module, "MEANS_PER_QUERY", 2)
    Course.objects.update(cohorted=True)
    for number, user in enumerate(learners(0, 3, 6)):
        MembershipFactory(user=user, cohort=CohortFactory(name=str(number)))

    found = get_course_summary(COURSE_KEY).cohorts

    assert [(each.name, each.enrolled, each.mean) for each in found] == [
        ("0", 1, 0.0),
        ("1", 1, 0.5),
        ("2", 1, 1.0),
        ("", 0, 0.0),
    ]


def test_without_cohorts_there_are_none(course: Any, settings: Any) -> None:
    learners(6)
    CohortFactory()
    assert get_course_summary(COURSE_KEY).cohorts == (), "not cohorted (any more)"

    Course.objects.update(cohorted=True)
    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.PlainLMS"
    assert get_course_summary(COURSE_KEY).cohorts == ()


def test_a_cohorted_course_without_cohorts_has_everybody_in_none(course: Any) -> None:
    learners(6)
    Course.objects.update(cohorted=True)

    assert get_course_summary(COURSE_KEY).cohorts == (CohortSummary(None, "", 1, 1.0),)


# --- against what is counted one by one -----------------------------------------------------------------------------

#: What a learner has earned in the two sections, of 4 and 2; None: never aggregated; False: has left.
EARNED = st.tuples(st.sampled_from([0.0, 0.3, 0.5, 1.0, 4.0]), st.sampled_from([0.0, 0.2, 1.0, 2.0]))
CLASS = st.lists(st.none() | st.just(False) | EARNED, max_size=9)


@settings(max_examples=40)
@given(people=CLASS)
def test_any_class_is_summed_up_as_if_counted_one_by_one(course: Any, people: list[Any]) -> None:
    store(people)
    enrolled = [each for each in people if each is not False]
    percents = [0.0 if each is None else sum(each) / 6 for each in enrolled]
    known = [each for each in enrolled if each is not None]

    assert get_course_summary(COURSE_KEY) == summary(
        enrolled=len(enrolled),
        not_started=percents.count(0.0),
        in_progress=sum(0 < each < 1 for each in percents),
        completed=percents.count(1.0),
        never_aggregated=len(enrolled) - len(known),
        mean=pytest.approx(statistics.fmean(percents)) if percents else 0.0,
        median=pytest.approx(statistics.median(percents)) if percents else 0.0,
        histogram=(
            percents.count(0.0),
            *(sum(tenth / 10 < each <= (tenth + 1) / 10 for each in percents) for tenth in range(10)),
        ),
        sections=tuple(
            SectionFunnel(
                key(f"chapter/c{place + 1}"),
                f"chapter/c{place + 1}",
                started=sum(each[place] > 0 for each in known),
                finished=sum(each[place] == possible for each in known),
                learners=len(known),
            )
            for place, possible in enumerate((4.0, 2.0))
        ),
        at_risk=sum(each < 0.5 for each in percents),
    )


def store(people: list[Any]) -> None:
    """Let the class be these, and nobody else."""
    for model in (Enrollment, CourseAggregate, BlockAggregate):
        model._default_manager.all().delete()
    course_id = sync_course(COURSE_KEY).id
    blocks = [CourseBlock.objects.get(course_id=course_id, block_key=key(f"chapter/{c}")) for c in ("c1", "c2")]
    now = timezone.now()
    for each in people:
        user = UserFactory()
        Enrollment.objects.bulk_create([Enrollment(user=user, course_id=COURSE_KEY, is_active=each is not False)])
        earned = each or (0.0, 0.0)
        CourseAggregate.objects.create(
            course_id=course_id,
            user=user,
            earned=sum(earned),
            possible=6,
            percent=sum(earned) / 6,
            computed_at=None if each is None else now,
        )
        if each is not None:
            BlockAggregate.objects.bulk_create(
                BlockAggregate(
                    user=user,
                    block=chapter,
                    earned=done,
                    possible=possible,
                    optional_earned=0,
                    optional_possible=0,
                    modified=now,
                )
                for chapter, done, possible in zip(blocks, earned, (4, 2), strict=True)
            )


# --- cost -----------------------------------------------------------------------------------------------------------


def queries() -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        get_course_summary(COURSE_KEY)
    return [each["sql"] for each in captured.captured_queries]


def many(number: int, chapters: int, cohorts: int) -> None:
    """Publish a course of so many sections and cohorts, with so many learners."""
    names = [f"chapter/c{place}" for place in range(chapters)]
    publish_course(
        [
            block("course/course", *names),
            *(each for name in names for each in (block(name, f"html/{name[8:]}"), block(f"html/{name[8:]}"))),
        ],
        cohorts=[f"cohort {place}" for place in range(cohorts)],
    )
    users = get_user_model()
    new = number - Enrollment.objects.count()
    created = users.objects.bulk_create(users(username=f"many{number}_{place}") for place in range(new))
    ids = users.objects.filter(username__in=[user.username for user in created]).values_list("pk", flat=True)
    Enrollment.objects.bulk_create(Enrollment(user_id=pk, course_id=COURSE_KEY) for pk in ids)
    mark_learners(COURSE_KEY, list(ids))
    aggregate_stale()


def test_three_hundred_learners_cost_what_three_do(db: None) -> None:
    costs = []
    for number, chapters, cohorts in ((3, 1, 1), (300, 10, 5)):
        many(number, chapters, cohorts)
        get_course_summary(COURSE_KEY)  # the structure is read into memory
        costs.append(queries())
        found = get_course_summary(COURSE_KEY)
        assert (found.enrolled, len(found.sections), len(found.cohorts)) == (number, chapters, cohorts + 1)

    assert [len(each) for each in costs] == [7, 7], "\n".join(costs[1])


def test_no_user_is_read(course: Any) -> None:
    learners(1, 2)

    assert not any("auth_user" in sql for sql in queries())
    assert AggregatedCourse.objects.count() == 1
