"""Why a learner's percent is what it is."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from completion.models import BlockCompletion
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from completion_aggregator.engine import Block, CompletionMode, CourseTree, Tally
from completion_aggregator.exceptions import CourseNotFoundError, UnknownBlockError, UnknownUserError
from completion_aggregator.lms.base import CourseView, HiddenBlock, HiddenReason
from completion_aggregator.models import StaleCompletion
from completion_aggregator.selectors import ExplainedBlock, Explanation, explain_completion, get_course_completion
from completion_aggregator.selectors.explain import OpenMarkers, Part, Stored
from completion_aggregator.services import aggregate, mark_learners
from sample_lms.lms import SampleLMS
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

AGGREGATOR = CompletionMode.AGGREGATOR
NEVER = datetime(9000, 1, 1, tzinfo=UTC)


class TellingLMS(SampleLMS):
    """An LMS that says why blocks are hidden: what a test has noted."""

    noted: dict[str, HiddenBlock] = {}

    def hidden_blocks(self, course_key: Any, user_id: int, *, now: datetime) -> dict[str, HiddenBlock]:
        return self.noted


class SplittingLMS(SampleLMS):
    """An LMS that takes some blocks out for everybody, and puts what they hold in their place."""

    def course_views(self, course_key: Any, user_ids: Collection[int], *, now: datetime) -> Any:
        blocks = [
            Block(key=key("course/course"), block_type="course", mode=AGGREGATOR, children=(key("vertical/v1"),)),
            Block(key=key("vertical/v1"), block_type="vertical", mode=AGGREGATOR, children=(key("html/h1"),)),
            Block(key=key("html/h1"), block_type="html"),
        ]
        return [CourseView(tree=CourseTree.build(blocks), user_ids=tuple(user_ids))]

    def hidden_blocks(self, course_key: Any, user_id: int, *, now: datetime) -> dict[str, HiddenBlock]:
        return {key("html/h2"): HiddenBlock(reason=HiddenReason.OTHER_GROUP)}


class BusyLMS(SampleLMS):
    """An LMS in which the course is published while it is being read."""

    publications = 0

    def course_views(self, course_key: Any, user_ids: Collection[int], *, now: datetime) -> Any:
        if BusyLMS.publications:
            BusyLMS.publications -= 1
            publish_course(SMALL_COURSE)
        return super().course_views(course_key, user_ids, now=now)


@pytest.fixture
def telling(settings: Any) -> Iterator[dict[str, HiddenBlock]]:
    """What the LMS says of hidden blocks."""
    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.TellingLMS"
    TellingLMS.noted = {}
    yield TellingLMS.noted
    TellingLMS.noted = {}


def rows(explanation: Explanation) -> list[tuple[str, str, bool, bool]]:
    """Return name, reason, and whether it counts and is repeated, of each block."""
    return [
        (each.display_name, str(each.standing.reason), each.counted, each.repeated) for each in explanation.root.walk()
    ]


def leaves(explanation: Explanation) -> list[ExplainedBlock]:
    return [each for each in explanation.root.walk() if each.counted and each.tally is None]


def reasons(user: Any) -> dict[str, str]:
    explanation = explain_completion(user, COURSE_KEY)
    return {each.display_name: str(each.standing.reason) for each in explanation.root.walk()}


# --- reasons --------------------------------------------------------------------------------------------------------


def test_all_that_the_learner_sees_is_counted_but_for_what_is_excluded(learner: Any) -> None:
    assert reasons(learner) == {
        each.display_name: "excluded" if each.block_type == "discussion" else "counted" for each in SMALL_COURSE
    }


def test_what_is_optional_is_told_so_up_to_the_block_that_has_nothing_else(learner: Any) -> None:
    publish_course(
        [
            block("course/course", "chapter/c1", "chapter/c2"),
            block("chapter/c1", "html/h1", "html/h2"),
            block("html/h1"),
            block("html/h2", optional=True),
            block("chapter/c2", "html/h3", "chapter/empty", optional=True),
            block("html/h3"),
            block("chapter/empty"),
        ]
    )

    assert reasons(learner) == {
        "course/course": "counted",
        "chapter/c1": "counted",
        "html/h1": "counted",
        "html/h2": "optional",
        "chapter/c2": "optional",
        "html/h3": "optional",
        "chapter/empty": "counted",
    }
    explanation = explain_completion(learner, COURSE_KEY)
    assert [part.display_name for part in explanation.parts] == ["chapter/c1"]
    assert explanation.tally == Tally(0.0, 1, 0.0, 2)


def test_below_an_excluded_or_a_completable_block_nothing_counts(learner: Any) -> None:
    publish_course(
        [
            block("course/course", "static_tab/t1", "problem/p1"),
            block("static_tab/t1", "vertical/v1"),
            block("vertical/v1", "html/h1"),
            block("html/h1"),
            block("problem/p1", "html/h2"),
            block("html/h2"),
        ]
    )

    assert reasons(learner) == {
        "course/course": "counted",
        "static_tab/t1": "excluded",
        "vertical/v1": "below_excluded",
        "html/h1": "below_excluded",
        "problem/p1": "counted",
        "html/h2": "below_excluded",
    }


HIDDEN = [
    block("course/course", "chapter/c1", "html/h1"),
    block("chapter/c1", "discussion/d1", "html/h2", start=NEVER),
    block("discussion/d1", "html/h3"),
    block("html/h3"),
    block("html/h2"),
    block("html/h1"),
]


@pytest.mark.parametrize(
    ("hidden", "reason", "release_date"),
    [
        (HiddenBlock(reason=HiddenReason.NOT_RELEASED, release_date=NEVER), "not_released", NEVER),
        (HiddenBlock(reason=HiddenReason.NOT_RELEASED), "not_released", None),
        (HiddenBlock(reason=HiddenReason.STAFF_ONLY), "staff_only", None),
        (HiddenBlock(reason=HiddenReason.OTHER_GROUP), "other_group", None),
        (HiddenBlock(reason=HiddenReason.NOT_SELECTED), "not_selected", None),
        (HiddenBlock(reason=HiddenReason.UNKNOWN), "hidden", None),
    ],
)
def test_what_is_hidden_has_the_reason_of_the_lms_with_all_below_it(
    learner: Any, telling: Any, hidden: HiddenBlock, reason: str, release_date: datetime | None
) -> None:
    publish_course(HIDDEN)
    telling[key("chapter/c1")] = hidden
    # What is seen is not hidden, whatever the LMS says.
    telling[key("html/h1")] = hidden

    found = {each.display_name: each for each in explain_completion(learner, COURSE_KEY).root.walk()}

    assert (found["html/h1"].counted, found["course/course"].counted) == (True, True)
    for name in ("chapter/c1", "discussion/d1", "html/h3", "html/h2"):
        assert found[name].standing == (reason, release_date)
        assert (found[name].counted, found[name].tally) == (False, None)


def test_an_lms_that_tells_nothing_leaves_it_at_hidden(learner: Any, telling: Any) -> None:
    publish_course(HIDDEN)

    assert reasons(learner) == {
        "course/course": "counted",
        "chapter/c1": "hidden",
        "discussion/d1": "excluded",
        "html/h3": "below_excluded",
        "html/h2": "hidden",
        "html/h1": "counted",
    }


def test_the_sample_lms_tells_every_reason(learner: Any) -> None:
    publish_course(
        [
            block("course/course", "html/h1", "html/later", "html/staff", "vertical/red", "library_content/bank"),
            block("html/h1"),
            block("html/later", start=NEVER),
            block("html/staff", staff_only=True),
            block("vertical/red", "html/h2", cohorts=("Red",)),
            block("html/h2"),
            block("library_content/bank", "html/b1", "html/b2", max_count=1),
            block("html/b1"),
            block("html/b2"),
        ],
        cohorts=["Red"],
    )

    found = reasons(learner)

    assert sorted([found.pop("html/b1"), found.pop("html/b2")]) == ["counted", "not_selected"]
    assert found == {
        "course/course": "counted",
        "html/h1": "counted",
        "html/later": "not_released",
        "html/staff": "staff_only",
        "vertical/red": "other_group",
        "html/h2": "other_group",
        "library_content/bank": "counted",
    }
    later = explain_completion(learner, COURSE_KEY, root_block=key("html/later"))
    assert later.root.standing.release_date == NEVER


# --- several parents ------------------------------------------------------------------------------------------------


def test_a_block_with_two_parents_counts_in_the_first_and_is_told_twice(learner: Any) -> None:
    publish_course(
        [
            block("course/course", "chapter/c1", "chapter/c2"),
            block("chapter/c1", "vertical/shared"),
            block("vertical/shared", "html/h1"),
            block("html/h1"),
            block("chapter/c2", "vertical/shared", "html/h1"),
        ]
    )
    complete(learner, "html/h1")

    explanation = explain_completion(learner, COURSE_KEY)

    assert rows(explanation) == [
        ("course/course", "counted", True, False),
        ("chapter/c1", "counted", True, False),
        ("vertical/shared", "counted", True, False),
        ("html/h1", "counted", True, False),
        ("chapter/c2", "counted", True, False),
        # Its children are told above.
        ("vertical/shared", "counted", False, True),
        ("html/h1", "counted", False, True),
    ]
    assert [(part.display_name, part.tally.earned, part.share) for part in explanation.parts] == [
        ("chapter/c1", 1.0, 1.0),
        ("chapter/c2", 1.0, 1.0),
    ]
    # By itself, the second one has it all.
    assert rows(explain_completion(learner, COURSE_KEY, root_block=key("chapter/c2"))) == [
        ("chapter/c2", "counted", True, False),
        ("vertical/shared", "counted", True, False),
        ("html/h1", "counted", True, False),
        ("html/h1", "counted", False, True),
    ]


def test_where_one_parent_is_excluded_the_block_counts_under_the_other(learner: Any) -> None:
    publish_course(
        [
            block("course/course", "static_tab/t1", "chapter/c1"),
            block("static_tab/t1", "vertical/shared"),
            block("vertical/shared", "html/h1"),
            block("html/h1"),
            block("chapter/c1", "vertical/shared"),
        ]
    )

    assert rows(explain_completion(learner, COURSE_KEY)) == [
        ("course/course", "counted", True, False),
        ("static_tab/t1", "excluded", False, False),
        ("vertical/shared", "below_excluded", False, False),
        ("html/h1", "below_excluded", False, False),
        ("chapter/c1", "counted", True, False),
        ("vertical/shared", "counted", True, False),
        ("html/h1", "counted", True, False),
    ]
    assert rows(explain_completion(learner, COURSE_KEY, root_block=key("vertical/shared"))) == [
        ("vertical/shared", "counted", True, False),
        ("html/h1", "counted", True, False),
    ]


def test_what_a_bank_has_not_drawn_counts_where_it_stands_elsewhere(learner: Any) -> None:
    publish_course(
        [
            block("course/course", "library_content/bank", "chapter/c1"),
            block("library_content/bank", "html/h1", "vertical/v1", max_count=0),
            block("html/h1"),
            block("vertical/v1", "html/h2"),
            block("html/h2"),
            block("chapter/c1", "html/h1", "vertical/v1"),
        ]
    )

    explanation = explain_completion(learner, COURSE_KEY)

    assert rows(explanation) == [
        ("course/course", "counted", True, False),
        ("library_content/bank", "counted", True, False),
        ("html/h1", "hidden", False, False),
        ("vertical/v1", "hidden", False, False),
        ("html/h2", "hidden", False, False),
        ("chapter/c1", "counted", True, False),
        ("html/h1", "counted", True, False),
        ("vertical/v1", "counted", True, False),
        ("html/h2", "counted", True, False),
    ]
    assert leaves(explain_completion(learner, COURSE_KEY, root_block=key("library_content/bank"))) == []


def test_what_a_test_of_two_ways_holds_stands_in_its_place(learner: Any, settings: Any) -> None:
    publish_course(
        [
            block("course/course", "vertical/v1"),
            block("vertical/v1", "split_test/t1"),
            block("split_test/t1", "html/h1", "html/h2"),
            block("html/h1"),
            block("html/h2"),
        ]
    )
    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.SplittingLMS"
    complete(learner, "html/h1")

    explanation = explain_completion(learner, COURSE_KEY)
    unit = explain_completion(learner, COURSE_KEY, root_block=key("vertical/v1"))
    test = explain_completion(learner, COURSE_KEY, root_block=key("split_test/t1"))

    assert rows(explanation) == [
        ("course/course", "counted", True, False),
        ("vertical/v1", "counted", True, False),
        ("split_test/t1", "hidden", False, False),
        ("html/h1", "counted", True, False),
        ("html/h2", "other_group", False, False),
    ]
    assert explanation.tally[:2] == (1.0, 1)
    assert [(part.display_name, part.share) for part in unit.parts] == [("html/h1", 1.0)]
    # As the detail answers.
    assert (test.tally, test.parts) == (Tally(0.0, 0), [])


# --- numbers --------------------------------------------------------------------------------------------------------


def test_the_parts_and_their_shares_make_the_percent(learner: Any) -> None:
    complete(learner, "html/h1", "html/h4")

    explanation = explain_completion(learner, COURSE_KEY)

    assert [part._replace(tally=part.tally._replace(last_modified=None)) for part in explanation.parts] == [
        Part(key("chapter/c1"), "chapter/c1", Tally(1.0, 4), 4 / 6),
        Part(key("chapter/c2"), "chapter/c2", Tally(1.0, 2), 2 / 6),
    ]
    assert sum(part.share * part.tally.percent for part in explanation.parts) == pytest.approx(
        explanation.tally.percent
    )


def test_the_parts_of_a_unit_are_its_blocks(learner: Any) -> None:
    complete(learner, "html/h4", value=0.5)

    explanation = explain_completion(learner, COURSE_KEY, root_block=key("vertical/v4"))

    assert [(part.display_name, part.tally[:2], part.share) for part in explanation.parts] == [
        ("html/h4", (0.5, 1), 0.5),
        ("video/m1", (0.0, 1), 0.5),
    ]
    assert explanation.tally[:2] == (0.5, 2)


@pytest.mark.parametrize(
    ("name", "tally", "reason"),
    [("html/h1", (1.0, 1), "counted"), ("html/h2", (0.0, 1), "counted"), ("discussion/d1", (0.0, 0), "excluded")],
)
def test_a_block_that_is_no_aggregator_is_explained_by_itself(
    learner: Any, name: str, tally: tuple[float, int], reason: str
) -> None:
    complete(learner, "html/h1", "discussion/d1")
    aggregate(COURSE_KEY, [learner.pk])

    explanation = explain_completion(learner, COURSE_KEY, root_block=key(name))

    assert (explanation.tally[:2], explanation.parts) == (tally, [])
    assert rows(explanation) == [(name, reason, reason == "counted", False)]
    # Nothing is stored about such a block.
    assert explanation.stored is not None
    assert explanation.stored.tally is None


def test_a_block_that_nothing_leads_to_is_hidden(learner: Any) -> None:
    publish_course([*SMALL_COURSE, block("html/lost")])
    complete(learner, "html/lost")

    explanation = explain_completion(learner, COURSE_KEY, root_block=key("html/lost"))

    assert rows(explanation) == [("html/lost", "hidden", False, False)]
    assert explanation.tally == Tally(0.0, 0)
    assert [each.block_key for each in explanation.uncounted_completions] == [key("html/lost")]


def test_completions_of_blocks_that_left_the_course_are_told(learner: Any) -> None:
    complete(learner, "html/h1", "html/gone", "problem/gone", value=0.5)
    complete(UserFactory(), "html/others")

    explanation = explain_completion(learner, COURSE_KEY)

    assert [each[:2] for each in explanation.uncounted_completions] == [
        (key("html/gone"), 0.5),
        (key("problem/gone"), 0.5),
    ]
    written = dict(BlockCompletion.objects.filter(user=learner).values_list("block_key", "modified"))
    assert {each.block_key: each.modified for each in explanation.uncounted_completions} == {
        str(block_key): moment for block_key, moment in written.items() if "gone" in str(block_key)
    }


@pytest.mark.parametrize(("value", "counted"), [(1.5, 1.0), (-0.5, 0.0)])
def test_a_completion_out_of_bounds_is_told_as_it_is_counted(learner: Any, value: float, counted: float) -> None:
    complete(learner, "html/h1", "html/gone")
    BlockCompletion.objects.update(completion=value)

    explanation = explain_completion(learner, COURSE_KEY)

    assert explanation.tally.earned == sum(each.value or 0.0 for each in leaves(explanation)) == counted
    assert [each.value for each in explanation.uncounted_completions] == [counted]


# --- what is stored -------------------------------------------------------------------------------------------------


def test_what_is_stored_stands_beside_what_is_computed_now(learner: Any) -> None:
    before = explain_completion(learner, COURSE_KEY)
    complete(learner, "html/h1")
    aggregate(COURSE_KEY, [learner.pk])
    fresh = explain_completion(learner, COURSE_KEY)
    complete(learner, "html/h2")
    complete(learner, "html/h3")
    stale = explain_completion(learner, COURSE_KEY)

    assert (before.stored, before.is_stale) == (None, True)
    assert fresh.stored is not None
    assert (fresh.stored.tally, fresh.is_stale) == (fresh.tally, False)
    assert fresh.markers == OpenMarkers(0, None, "")
    assert (stale.tally.earned, stale.stored, stale.is_stale) == (3.0, fresh.stored, True)
    oldest = StaleCompletion.objects.order_by("id")[0].created
    assert stale.markers == OpenMarkers(2, oldest, "")


def test_what_is_stored_of_a_block_is_told_when_the_block_is_explained(learner: Any) -> None:
    complete(learner, "html/h1")
    aggregate(COURSE_KEY, [learner.pk])
    course = explain_completion(learner, COURSE_KEY).stored

    chapter = explain_completion(learner, COURSE_KEY, root_block=key("chapter/c1"))

    assert course is not None
    assert chapter.stored == Stored(chapter.tally, course.computed_at)


def test_a_learner_whose_course_was_published_anew_is_stale(learner: Any) -> None:
    aggregate(COURSE_KEY, [learner.pk])
    publish_course([block("course/course", "html/h1"), block("html/h1")])
    StaleCompletion.objects.all().delete()

    explanation = explain_completion(learner, COURSE_KEY)

    assert explanation.is_stale
    assert explanation.tally == Tally(0.0, 1)
    assert explanation.stored is not None
    assert explanation.stored.tally == Tally(0.0, 6)


def test_the_newest_error_is_told(learner: Any) -> None:
    StaleCompletion.objects.all().delete()
    for number in range(2):
        mark_learners(COURSE_KEY, [learner.pk])
        StaleCompletion.objects.filter(last_error="").update(last_error=f"error {number}")
    mark_learners(COURSE_KEY, [learner.pk])
    mark_learners(COURSE_KEY, [UserFactory().pk])
    StaleCompletion.objects.exclude(user_id=learner.pk).update(last_error="somebody else's")

    markers = explain_completion(learner, COURSE_KEY).markers

    assert (markers.number, markers.last_error) == (3, "error 1")


def test_a_course_that_is_published_meanwhile_is_read_again(learner: Any, settings: Any) -> None:
    publish_course([block("course/course", "html/h1"), block("html/h1")])
    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.BusyLMS"
    BusyLMS.publications = 1

    explanation = explain_completion(learner, COURSE_KEY)

    assert explanation.tally.possible == len(leaves(explanation)) == 6


# --- errors ---------------------------------------------------------------------------------------------------------


def test_what_is_not_there_is_refused(learner: Any) -> None:
    with pytest.raises(CourseNotFoundError):
        explain_completion(learner, new_course_key())
    with pytest.raises(UnknownBlockError):
        explain_completion(learner, COURSE_KEY, root_block=key("html/nowhere"))
    learner.delete()
    learner.pk = 2_000_000_000
    with pytest.raises(UnknownUserError):
        explain_completion(learner, COURSE_KEY)


# --- any course -----------------------------------------------------------------------------------------------------

TYPES = ("vertical", "html", "discussion")


@st.composite
def courses(draw: st.DrawFn) -> list[Any]:
    """Draw a course: parents stand before their children; some blocks have none, some have several."""
    size = draw(st.integers(2, 9))
    # Aggregators first and more often: without them there is nothing to walk through.
    types = ["course", *(draw(st.sampled_from(("vertical", *TYPES))) for _ in range(size - 1))]
    names = [f"{block_type}/b{place}" for place, block_type in enumerate(types)]
    children: list[list[str]] = [[] for _ in names]
    for place in range(1, size):
        for parent in draw(st.sets(st.integers(0, place - 1), max_size=3)):
            children[parent].append(names[place])
    return [
        block(
            name,
            *children[place],
            optional=place > 0 and draw(st.integers(0, 4)) == 0,
            start=NEVER if place and draw(st.integers(0, 5)) == 0 else None,
            max_count=draw(st.sampled_from((None, None, None, 1))) if place else None,
        )
        for place, name in enumerate(names)
    ]


@settings(max_examples=60)
@given(courses(), st.dictionaries(st.integers(1, 9), st.integers(0, 8)), st.data())
def test_what_is_counted_adds_up_to_the_answer(course: list[Any], done: dict[int, int], data: st.DataObject) -> None:
    with transaction.atomic():
        publish_course(course)
        user = EnrollmentFactory().user
        for place, eighths in done.items():
            if place < len(course):
                complete(user, course[place].display_name, value=eighths / 8)
        for root in (None, data.draw(st.sampled_from(course)).key):
            explanation = explain_completion(user, COURSE_KEY, root_block=root)
            answer = get_course_completion(user, COURSE_KEY, root_block=root)

            counted = leaves(explanation)
            # Sums of eighths are exact.
            assert sum(each.value or 0.0 for each in counted) == explanation.tally.earned == answer.tally.earned
            assert len(counted) == explanation.tally.possible == answer.tally.possible
            assert explanation.tally == answer.tally
            keys = [each.block_key for each in counted]
            assert len(keys) == len(set(keys))
        transaction.set_rollback(True)
