"""What views, pages and other plugins ask about learners."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from completion.models import BlockCompletion
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.engine import Tally
from completion_aggregator.exceptions import UnknownBlockError
from completion_aggregator.models import BlockAggregate, CourseAggregate, StaleCompletion
from completion_aggregator.selectors import (
    CourseCompletion,
    Learner,
    completions,
    get_course_completion,
    get_learner_completions,
)
from completion_aggregator.selectors.completions import iter_course_completions
from completion_aggregator.services import aggregate_stale
from sample_lms.lms import SampleLMS
from sample_lms.models import Course
from tests.factories import (
    COURSE_KEY,
    SMALL_COURSE,
    EnrollmentFactory,
    UserFactory,
    block,
    complete,
    key,
    new_course_key,
    publish_course,
)

pytestmark = pytest.mark.django_db

UNKNOWN = Tally(0.0, None, 0.0, None)
NOTHING = Tally(0.0, 0)


class TomorrowsLMS(SampleLMS):
    """An LMS whose clock is a day ahead."""

    def course_views(self, course_key: Any, user_ids: Any, *, now: datetime) -> Any:
        return super().course_views(course_key, user_ids, now=now + timedelta(days=1))


def modified(user: Any) -> datetime:
    """Return when the learner's newest completion was written."""
    return BlockCompletion.objects.filter(user=user).latest("modified").modified


def of(user: Any) -> Learner:
    return Learner(user.pk, user.username)


def table_rows() -> list[Any]:
    return [list(model._default_manager.values()) for model in (BlockAggregate, CourseAggregate, StaleCompletion)]


def selects(act: Any) -> int:
    with CaptureQueriesContext(connection) as queries:
        act()
    assert all(query["sql"].startswith("SELECT") for query in queries)
    return len(queries)


def hidden_chapter() -> None:
    publish_course([replace(each, staff_only=each.key == key("chapter/c1")) for each in SMALL_COURSE])


# One learner


@pytest.mark.parametrize("is_stale", [True, False])
def test_a_learner_is_told_course_and_blocks_in_course_order(learner: Any, is_stale: bool) -> None:
    complete(learner, "html/h1", "problem/p1")
    if not is_stale:
        aggregate_stale()
    when = modified(learner)
    first = BlockCompletion.objects.earliest("modified").modified

    assert get_course_completion(learner, COURSE_KEY, block_types=["vertical", "chapter"]) == CourseCompletion(
        course_key=COURSE_KEY,
        learner=Learner(learner.pk, "ada"),
        tally=Tally(2.0, 6, 0.0, 0, when),
        blocks={
            "vertical": [
                (key("vertical/v1"), Tally(1.0, 2, 0.0, 0, first)),
                (key("vertical/v2"), Tally(1.0, 1, 0.0, 0, when)),
                (key("vertical/v3"), Tally(0.0, 1)),
                (key("vertical/v4"), Tally(0.0, 2)),
            ],
            "chapter": [(key("chapter/c1"), Tally(2.0, 4, 0.0, 0, when)), (key("chapter/c2"), Tally(0.0, 2))],
        },
    )


def test_percent_is_that_of_the_tally(learner: Any) -> None:
    complete(learner, "html/h1", "html/h2", "html/h3")

    assert get_course_completion(learner, COURSE_KEY).percent == 0.5


def test_what_was_never_aggregated_is_computed_and_not_saved(course: Any) -> None:
    user = UserFactory()
    complete(user, "html/h1")
    before = table_rows()

    assert get_course_completion(user, COURSE_KEY).tally == Tally(1.0, 6, 0.0, 0, modified(user))
    assert table_rows() == before


def test_a_stale_learner_is_computed_and_not_saved(learner: Any) -> None:
    aggregate_stale()
    complete(learner, "html/h1")
    before = table_rows()

    assert get_course_completion(learner, COURSE_KEY).tally.earned == 1.0
    assert table_rows() == before


def test_a_stale_learner_may_be_told_what_is_stored(learner: Any) -> None:
    aggregate_stale()
    complete(learner, "html/h1")

    stored = get_course_completion(learner, COURSE_KEY, block_types=["chapter"], recalculate_stale=False)

    assert (stored.tally, stored.blocks["chapter"][0]) == (Tally(0.0, 6), (key("chapter/c1"), Tally(0.0, 4)))


def test_who_was_never_aggregated_and_may_not_be_computed_is_unknown(learner: Any) -> None:
    stored = get_course_completion(learner, COURSE_KEY, block_types=["chapter"], recalculate_stale=False)

    assert (stored.tally, stored.percent, stored.blocks) == (UNKNOWN, 0.0, {"chapter": []})


def test_a_fresh_learner_is_told_what_is_stored(learner: Any) -> None:
    aggregate_stale()
    CourseAggregate.objects.update(earned=3.0)

    assert get_course_completion(learner, COURSE_KEY).tally == Tally(3.0, 6)


def test_a_marker_in_another_course_makes_nobody_stale_here(learner: Any) -> None:
    aggregate_stale()
    CourseAggregate.objects.update(earned=3.0)
    StaleCompletion.objects.create(user=learner, course_key=str(new_course_key()))
    StaleCompletion.objects.create(user=UserFactory(), course_key=str(COURSE_KEY))

    assert get_course_completion(learner, COURSE_KEY).tally.earned == 3.0


def test_a_publication_that_nobody_told_of_is_noticed(learner: Any) -> None:
    aggregate_stale()
    hidden_chapter()
    StaleCompletion.objects.all().delete()

    completion = get_course_completion(learner, COURSE_KEY, block_types=["chapter"])

    assert (completion.tally.possible, completion.blocks) == (2, {"chapter": [(key("chapter/c2"), Tally(0.0, 2))]})


def test_a_release_date_that_passed_is_noticed_before_anybody_was_marked(learner: Any, settings: Any) -> None:
    soon = timezone.now() + timedelta(hours=1)
    publish_course([replace(each, start=soon if each.key == key("chapter/c2") else None) for each in SMALL_COURSE])
    aggregate_stale()
    assert get_course_completion(learner, COURSE_KEY).tally.possible == 4
    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.TomorrowsLMS"
    assert get_course_completion(learner, COURSE_KEY).tally.possible == 4

    CourseAggregate.objects.get().course.__class__.objects.update(next_change_at=timezone.now())

    assert get_course_completion(learner, COURSE_KEY).tally.possible == 6


def test_blocks_that_are_gone_do_not_show_even_where_stored_values_are_told(learner: Any) -> None:
    aggregate_stale()
    publish_course([block("course/course", "chapter/c2"), *SMALL_COURSE[-5:]])

    completion = get_course_completion(learner, COURSE_KEY, block_types=["chapter"], recalculate_stale=False)

    assert completion.blocks == {"chapter": [(key("chapter/c2"), Tally(0.0, 2))]}


def test_an_unknown_course_is_unknown_completion(learner: Any) -> None:
    completion = get_course_completion(learner, new_course_key(), block_types=["chapter"])

    assert (completion.tally, completion.blocks) == (UNKNOWN, {"chapter": []})


def test_a_course_that_was_deleted_is_told_as_it_was_stored(learner: Any) -> None:
    complete(learner, "html/h1")
    aggregate_stale()
    Course.objects.all().delete()

    assert get_course_completion(learner, COURSE_KEY).tally.earned == 1.0


def test_a_user_who_does_not_exist_is_unknown(course: Any) -> None:
    user = UserFactory.build(id=2_000_000_000)

    assert get_course_completion(user, COURSE_KEY).tally == UNKNOWN


# The root block


@pytest.mark.parametrize("is_stale", [True, False])
@pytest.mark.parametrize(
    ("root", "earned", "possible", "verticals"),
    [
        ("course/course", 2.0, 6, ["v1", "v2", "v3", "v4"]),
        ("chapter/c1", 2.0, 4, ["v1", "v2", "v3"]),
        ("sequential/s1", 1.0, 3, ["v1", "v2"]),
        ("vertical/v3", 1.0, 1, ["v3"]),
        ("html/h1", 1.0, 1, []),
        ("html/h2", 0.0, 1, []),
        ("discussion/d1", 0.0, 0, []),
    ],
)
def test_a_root_block_narrows_the_answer(
    learner: Any, root: str, earned: float, possible: int, verticals: list[str], is_stale: bool
) -> None:
    complete(learner, "html/h1", "html/h3", "discussion/d1")
    if not is_stale:
        aggregate_stale()

    one = get_course_completion(learner, COURSE_KEY, block_types=["vertical"], root_block=key(root))

    assert (one.tally.earned, one.tally.possible) == (earned, possible)
    assert [text for text, _ in one.blocks["vertical"]] == [key(f"vertical/{name}") for name in verticals]
    if not is_stale:
        (everybody,) = list(
            iter_course_completions(COURSE_KEY, [of(learner)], block_types=["vertical"], root_block=key(root))
        )
        assert everybody == one


@pytest.mark.parametrize("is_stale", [True, False])
def test_a_completable_root_block_with_children_counts_as_one(learner: Any, is_stale: bool) -> None:
    publish_course(
        [block("course/course", "problem/quiz"), block("problem/quiz", "html/h1"), block("html/h1")],
    )
    complete(learner, "problem/quiz", value=0.5)
    if not is_stale:
        aggregate_stale()

    tally = get_course_completion(learner, COURSE_KEY, root_block=key("problem/quiz")).tally

    assert tally == Tally(0.5, 1, 0.0, 0, modified(learner))


@pytest.mark.parametrize("is_stale", [True, False])
def test_a_root_block_that_the_learner_does_not_see_is_nothing_to_do(learner: Any, is_stale: bool) -> None:
    hidden_chapter()
    if not is_stale:
        aggregate_stale()

    completion = get_course_completion(learner, COURSE_KEY, block_types=["vertical"], root_block=key("chapter/c1"))

    assert (completion.tally, completion.blocks) == (NOTHING, {"vertical": []})


@pytest.mark.parametrize("text", ["html/nowhere", "chapter/c9"])
def test_a_root_block_that_is_not_in_the_course_is_refused(learner: Any, text: str) -> None:
    with pytest.raises(UnknownBlockError, match=r"^The course has no such block\.$"):
        get_course_completion(learner, COURSE_KEY, root_block=key(text))
    with pytest.raises(UnknownBlockError):
        list(iter_course_completions(COURSE_KEY, [of(learner)], root_block=key(text)))
    with pytest.raises(UnknownBlockError):
        get_course_completion(learner, new_course_key(), root_block=key("html/h1"))


def test_a_root_block_of_a_learner_who_may_not_be_computed_is_unknown(learner: Any) -> None:
    completion = get_course_completion(learner, COURSE_KEY, root_block=key("chapter/c1"), recalculate_stale=False)

    assert completion.tally == UNKNOWN


# Many


def test_the_courses_of_a_learner_come_in_the_order_asked_for(learner: Any) -> None:
    other = new_course_key()
    publish_course([block("course/course", "html/h1", course_key=other), block("html/h1", course_key=other)], other)
    complete(learner, "html/h1", course_key=other)
    aggregate_stale()

    for keys in ([COURSE_KEY, other], [other, COURSE_KEY]):
        found = get_learner_completions(learner, keys, block_types=["course"])
        assert [completion.course_key for completion in found] == keys
        assert {completion.course_key: completion.percent for completion in found} == {COURSE_KEY: 0.0, other: 1.0}
        assert all(completion.blocks["course"][0][1] == completion.tally for completion in found)
    assert get_learner_completions(learner, []) == []


@pytest.mark.parametrize("block_types", [[], ["course", "chapter"]])
def test_queries_do_not_grow_with_the_number_of_fresh_courses(learner: Any, block_types: list[str]) -> None:
    keys = [CourseKey.from_string(f"course-v1:Org+Course+{run}") for run in range(8)]
    for course_key in keys:
        publish_course(course_key=course_key)
        EnrollmentFactory(user=learner, course_id=course_key)
    aggregate_stale()

    one, all_of_them = (
        selects(lambda asked=asked: get_learner_completions(learner, asked, block_types=block_types))
        for asked in (keys[:1], keys)
    )

    assert one == all_of_them == 2 + bool(block_types)


def test_everybody_is_told_as_stored_in_the_order_asked_for(course: Any) -> None:
    users = [EnrollmentFactory().user for _ in range(3)]
    complete(users[2], "html/h1")
    aggregate_stale()
    complete(users[0], "html/h1")
    never = UserFactory()

    found = list(
        iter_course_completions(COURSE_KEY, [of(user) for user in (users[2], never, users[0])], block_types=["chapter"])
    )

    when = modified(users[2])
    second = (key("chapter/c2"), Tally(0.0, 2))
    assert found == [
        CourseCompletion(
            course_key=COURSE_KEY,
            learner=of(users[2]),
            tally=Tally(1.0, 6, 0.0, 0, when),
            blocks={"chapter": [(key("chapter/c1"), Tally(1.0, 4, 0.0, 0, when)), second]},
        ),
        CourseCompletion(course_key=COURSE_KEY, learner=of(never), tally=UNKNOWN, blocks={"chapter": []}),
        CourseCompletion(
            course_key=COURSE_KEY,
            learner=of(users[0]),
            tally=Tally(0.0, 6),
            blocks={"chapter": [(key("chapter/c1"), Tally(0.0, 4)), second]},
        ),
    ]


@pytest.mark.parametrize("max_pairs", [1, 30_000])
@pytest.mark.parametrize("root", [None, "chapter/c1"])
def test_large_pages_are_read_like_small_ones(
    course: Any, monkeypatch: pytest.MonkeyPatch, max_pairs: int, root: str | None
) -> None:
    users = [EnrollmentFactory().user for _ in range(3)]
    complete(users[1], "html/h1", "html/h4")
    aggregate_stale()
    monkeypatch.setattr(completions, "MAX_PAIRS", max_pairs)
    types, root_block = ["vertical", "course"], None if root is None else key(root)

    everybody = list(
        iter_course_completions(COURSE_KEY, [of(user) for user in users], block_types=types, root_block=root_block)
    )

    assert everybody == [
        get_course_completion(user, COURSE_KEY, block_types=types, root_block=root_block) for user in users
    ]


def test_dates_are_left_out_where_nobody_wants_them(learner: Any) -> None:
    complete(learner, "html/h1")
    aggregate_stale()

    with CaptureQueriesContext(connection) as queries:
        one = get_course_completion(learner, COURSE_KEY, block_types=["chapter"], with_dates=False)
        (same,) = list(iter_course_completions(COURSE_KEY, [of(learner)], block_types=["chapter"], with_dates=False))

    assert one == same
    assert one.tally == Tally(1.0, 6)
    assert one.blocks["chapter"] == [(key("chapter/c1"), Tally(1.0, 4)), (key("chapter/c2"), Tally(0.0, 2))]
    assert not any("last_modified" in each["sql"] for each in queries)


def test_a_page_is_read_at_once_and_made_learner_by_learner(course: Any) -> None:
    learners = [of(EnrollmentFactory().user) for _ in range(3)]
    aggregate_stale()

    found = completions.iter_course_completions(COURSE_KEY, learners, block_types=["chapter"])

    assert selects(lambda: list(found)) == 0
    assert list(found) == []
    with pytest.raises(UnknownBlockError):
        completions.iter_course_completions(COURSE_KEY, learners, root_block=key("html/nowhere"))


@pytest.mark.parametrize("root", [None, "chapter/c1", "html/h1"])
def test_queries_do_not_grow_with_the_number_of_learners(course: Any, root: str | None) -> None:
    learners = [of(EnrollmentFactory().user) for _ in range(20)]
    aggregate_stale()
    root_block = None if root is None else key(root)

    one, everybody = (
        selects(
            lambda asked=asked: list(
                iter_course_completions(COURSE_KEY, asked, block_types=["chapter"], root_block=root_block)
            )
        )
        for asked in (learners[:1], learners)
    )

    assert one == everybody


def test_nobody_is_an_empty_answer(course: Any) -> None:
    assert list(iter_course_completions(COURSE_KEY, [], block_types=["chapter"])) == []
