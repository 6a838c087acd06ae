"""The port: what an adapter need not answer, and its records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.exceptions import NotSupportedByLMSError
from completion_aggregator.lms.base import LMS, CourseOutline, HiddenBlock, HiddenReason, OutlineBlock

COURSE_KEY = CourseKey.from_string("course-v1:Org+Course+Run")
NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=1)
A_MOMENT = timedelta(microseconds=1)


class PlainLMS(LMS):
    """An LMS without any capability."""

    def enrollments(self) -> Any: ...

    def is_course_staff(self, user: Any, course_key: CourseKey) -> bool:
        return False

    def course_versions(self, course_keys: Any) -> dict[CourseKey, str]:
        return {}

    def course_outline(self, course_key: CourseKey) -> CourseOutline:
        return CourseOutline(version="", blocks=())

    def course_views(self, course_key: CourseKey, user_ids: Any, *, now: datetime) -> list[Any]:
        return []


def outline(*children: tuple[int, ...], change_dates: tuple[datetime, ...] = ()) -> CourseOutline:
    blocks = [
        OutlineBlock(key=f"b{place}", block_type="any", display_name="", children=below)
        for place, below in enumerate(children)
    ]
    return CourseOutline(version="1", blocks=tuple(blocks), change_dates=change_dates)


def test_an_lms_has_no_capabilities_and_nothing_wrong_unless_it_says_so() -> None:
    assert (PlainLMS().capabilities, PlainLMS().check()) == (frozenset(), [])


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda lms: lms.role_holders(COURSE_KEY), "This LMS has no access roles in courses."),
        (lambda lms: lms.role_holders(COURSE_KEY, ["staff"]), "This LMS has no access roles in courses."),
        (lambda lms: lms.cohorts(COURSE_KEY), "This LMS has no cohorts."),
        (lambda lms: lms.cohort_members(COURSE_KEY, [1]), "This LMS has no cohorts."),
        (lambda lms: lms.mobile_courses(), "This LMS has no flag for courses available on mobile."),
    ],
)
def test_what_needs_a_capability_is_refused_with_a_sentence(ask: Callable[[LMS], Any], sentence: str) -> None:
    with pytest.raises(NotSupportedByLMSError) as refused:
        ask(PlainLMS())

    assert str(refused.value) == sentence


def test_positions_give_the_place_of_each_block() -> None:
    assert outline((1, 2), (), ()).positions == {"b0": 0, "b1": 1, "b2": 2}


def test_below_a_block_are_itself_and_everything_under_it() -> None:
    course = outline((1, 4), (2, 3), (), (), (5,), ())

    assert course.below("b1") == {"b1", "b2", "b3"}
    assert course.below("b2") == {"b2"}
    assert course.below("b0") == {"b0", "b1", "b2", "b3", "b4", "b5"}


def test_below_ends_even_where_blocks_contain_each_other() -> None:
    assert outline((1,), (2,), (1,)).below("b1") == {"b1", "b2"}


def test_below_reaches_a_block_by_either_parent() -> None:
    course = outline((1, 2), (3,), (3,), ())

    assert (course.below("b1"), course.below("b2")) == ({"b1", "b3"}, {"b2", "b3"})


STAFF_ONLY = HiddenBlock(reason=HiddenReason.STAFF_ONLY)
OTHER_GROUP = HiddenBlock(reason=HiddenReason.OTHER_GROUP)
NOT_SELECTED = HiddenBlock(reason=HiddenReason.NOT_SELECTED)
UNKNOWN = HiddenBlock(reason=HiddenReason.UNKNOWN)
UNTIL_NOON = HiddenBlock(reason=HiddenReason.NOT_RELEASED, release_date=NOON)
UNTIL_LATER = HiddenBlock(reason=HiddenReason.NOT_RELEASED, release_date=LATER)


def test_what_is_below_a_hidden_block_is_hidden_for_the_same_reason() -> None:
    course = outline((1, 4), (2, 3), (), (), (5,), ())

    assert course.hidden({"b1": STAFF_ONLY}) == {"b1": STAFF_ONLY, "b2": STAFF_ONLY, "b3": STAFF_ONLY}


def test_the_course_block_is_never_hidden_but_hides_what_is_in_it() -> None:
    assert outline((1,), (2,), ()).hidden({"b0": UNTIL_NOON}) == {"b1": UNTIL_NOON, "b2": UNTIL_NOON}


@pytest.mark.parametrize(
    ("above", "below", "expected"),
    [
        (UNTIL_NOON, UNTIL_LATER, UNTIL_LATER),
        (UNTIL_LATER, UNTIL_NOON, UNTIL_LATER),
        (UNTIL_NOON, OTHER_GROUP, OTHER_GROUP),
        (OTHER_GROUP, UNTIL_NOON, OTHER_GROUP),
        (OTHER_GROUP, NOT_SELECTED, NOT_SELECTED),
        (STAFF_ONLY, NOT_SELECTED, STAFF_ONLY),
        (STAFF_ONLY, UNKNOWN, UNKNOWN),
    ],
)
def test_of_two_reasons_on_a_way_the_one_that_lasts_longer_counts(
    above: HiddenBlock, below: HiddenBlock, expected: HiddenBlock
) -> None:
    assert outline((1,), (2,), ()).hidden({"b1": above, "b2": below}) == {"b1": above, "b2": expected}


def test_a_block_is_hidden_only_if_no_way_leads_to_it() -> None:
    course = outline((1, 2), (3,), (3,), (4,), ())

    assert course.hidden({"b1": STAFF_ONLY}) == {"b1": STAFF_ONLY}
    assert course.hidden({"b2": STAFF_ONLY}) == {"b2": STAFF_ONLY}


@pytest.mark.parametrize("is_first", [True, False])
def test_of_two_ways_the_one_that_opens_first_counts(is_first: bool) -> None:
    course = outline((1, 2), (3,), (3,), (4,), ())
    first, second = (UNTIL_NOON, STAFF_ONLY) if is_first else (STAFF_ONLY, UNTIL_NOON)

    assert course.hidden({"b1": first, "b2": second}) == {
        "b1": first,
        "b2": second,
        "b3": UNTIL_NOON,
        "b4": UNTIL_NOON,
    }


def test_what_was_not_drawn_is_hidden_unless_it_is_elsewhere_too() -> None:
    course = outline((1, 4), (2, 3), (), (), (3,))

    assert course.hidden({}, {("b1", "b2"), ("b1", "b3")}) == {"b2": NOT_SELECTED}


def test_hidden_blocks_end_even_where_blocks_contain_each_other() -> None:
    assert outline((1,), (2,), (1,)).hidden({"b2": STAFF_ONLY}) == {"b2": STAFF_ONLY}


def test_an_lms_that_knows_no_places_and_hides_nothing_says_so() -> None:
    assert PlainLMS().block_url(COURSE_KEY, "block") is None
    assert PlainLMS().hidden_blocks(COURSE_KEY, 1, now=NOON) == {}


@pytest.mark.parametrize(
    ("now", "expected"),
    [(NOON - A_MOMENT, NOON), (NOON, LATER), (LATER - A_MOMENT, LATER), (LATER, None), (LATER + A_MOMENT, None)],
)
def test_the_next_change_is_the_first_date_after_now(now: datetime, expected: datetime | None) -> None:
    assert outline((), change_dates=(NOON, LATER)).next_change(now) == expected


def test_a_course_without_dates_never_changes_by_itself() -> None:
    assert outline(()).next_change(NOON) is None
