"""roll_up, affected, tally_leaf and Tally, by example; test_properties.py has the rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from completion_aggregator.engine import (
    Block,
    Completion,
    CompletionMode,
    CourseTree,
    Sums,
    Tally,
    affected,
    roll_up,
    sum_up,
    tally_leaf,
)

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(microseconds=1)


def aggregator(key: str, *children: str, optional: bool = False) -> Block:
    return Block(key=key, block_type="unit", mode=CompletionMode.AGGREGATOR, optional=optional, children=children)


TREE = CourseTree.build(
    [
        aggregator("course", "a", "b", "talk"),
        aggregator("a", "x", "y"),
        Block(key="x", block_type="html"),
        Block(key="y", block_type="html"),
        aggregator("b", "z", "extra"),
        Block(key="z", block_type="html"),
        Block(key="extra", block_type="html", optional=True),
        Block(key="talk", block_type="discussion", mode=CompletionMode.EXCLUDED),
    ]
)


def test_nothing_done_is_zero_of_everything() -> None:
    assert roll_up(TREE, {}) == [Tally(0.0, 3, 0.0, 1), Tally(0.0, 2, 0.0, 0), Tally(0.0, 1, 0.0, 1)]


def test_a_completion_counts_in_every_aggregator_above_it() -> None:
    assert roll_up(TREE, {"x": Completion(0.5, NOON)}) == [
        Tally(0.5, 3, 0.0, 1, NOON),
        Tally(0.5, 2, 0.0, 0, NOON),
        Tally(0.0, 1, 0.0, 1, None),
    ]


def test_an_optional_completion_is_summed_apart() -> None:
    assert roll_up(TREE, {"extra": Completion(1.0, NOON)}) == [
        Tally(0.0, 3, 1.0, 1, NOON),
        Tally(0.0, 2, 0.0, 0, None),
        Tally(0.0, 1, 1.0, 1, NOON),
    ]


def test_the_newest_completion_dates_the_aggregator() -> None:
    done = {"x": Completion(1.0, LATER), "y": Completion(1.0, NOON), "z": Completion(0.0, NOON)}

    assert [tally.last_modified for tally in roll_up(TREE, done)] == [LATER, LATER, NOON]


def test_moments_may_be_texts_that_sort_by_time() -> None:
    done = {"x": (1.0, "2025-01-01 12:00:00"), "y": (0.5, "2025-01-01 12:00:00.5"), "extra": (1.0, "2025-01-01 09:00")}

    assert sum_up(TREE, done) == Sums(
        earned=[1.5, 1.5, 0.0],
        optional_earned=[1.0, 0.0, 1.0],
        last_modified=["2025-01-01 12:00:00.5", "2025-01-01 12:00:00.5", "2025-01-01 09:00"],
    )


def test_completions_of_blocks_that_do_not_count_are_ignored() -> None:
    done = {key: Completion(1.0, NOON) for key in ("talk", "course", "a", "gone")}

    assert roll_up(TREE, done) == roll_up(TREE, {})


@pytest.mark.parametrize(
    ("value", "counted"),
    [(-1.0, 0.0), (7.0, 1.0), (float("inf"), 1.0), (float("-inf"), 0.0), (float("nan"), 0.0), (0.25, 0.25)],
)
def test_values_out_of_bounds_count_as_the_nearest_bound(value: float, counted: float) -> None:
    done = {"x": Completion(value, NOON)}

    assert roll_up(TREE, done)[1] == Tally(counted, 2, 0.0, 0, NOON)
    assert tally_leaf(TREE, done, "x") == Tally(counted, 1, 0.0, 0, NOON)


def test_affected_are_the_aggregators_above_the_changed_blocks() -> None:
    assert affected(TREE, ["x"]) == {"course", "a"}
    assert affected(TREE, ["x", "y", "extra"]) == {"course", "a", "b"}


def test_blocks_that_do_not_count_affect_nothing() -> None:
    assert affected(TREE, ["talk", "a", "gone"]) == set()
    assert affected(TREE, []) == set()


def test_a_leaf_that_is_not_done_is_zero_of_one() -> None:
    assert tally_leaf(TREE, {}, "x") == Tally(0.0, 1)


def test_an_optional_leaf_is_one_of_the_optional() -> None:
    assert tally_leaf(TREE, {}, "extra") == Tally(0.0, 0, 0.0, 1)
    assert tally_leaf(TREE, {"extra": Completion(0.5, NOON)}, "extra") == Tally(0.0, 0, 0.5, 1, NOON)


def test_a_leaf_that_does_not_count_is_nothing_of_nothing() -> None:
    assert tally_leaf(TREE, {"talk": Completion(1.0, NOON)}, "talk") == Tally(0.0, 0)


def test_percent_is_exactly_earned_divided_by_possible() -> None:
    tally = Tally(1.0, 3, 2.0, 7)

    assert (tally.percent, tally.optional_percent) == (1.0 / 3, 2.0 / 7)


def test_nothing_to_do_is_done() -> None:
    assert (Tally(0.0, 0).percent, Tally(0.0, 0).optional_percent) == (1.0, 1.0)


def test_what_is_not_known_is_nothing_done() -> None:
    tally = Tally(0.0, None, 0.0, None)

    assert (tally.percent, tally.optional_percent) == (0.0, 0.0)
