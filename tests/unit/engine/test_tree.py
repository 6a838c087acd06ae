"""CourseTree.build: which blocks count, in which sums, and what it refuses."""

from __future__ import annotations

import pytest

from completion_aggregator.engine import Block, CompletionMode, CourseTree, CourseTreeError
from completion_aggregator.engine.tree import MAX_BLOCKS, MAX_DEPTH

AGGREGATOR, COMPLETABLE, EXCLUDED = CompletionMode.AGGREGATOR, CompletionMode.COMPLETABLE, CompletionMode.EXCLUDED


def aggregator(key: str, *children: str, optional: bool = False) -> Block:
    return Block(key=key, block_type="unit", mode=AGGREGATOR, optional=optional, children=children)


def leaf(key: str, *, optional: bool = False) -> Block:
    return Block(key=key, block_type="html", optional=optional)


def counts(tree: CourseTree) -> dict[str, tuple[int, int]]:
    """Return required and optional possible of each aggregator."""
    return dict(zip(tree.aggregators, zip(tree.possible, tree.optional_possible, strict=True), strict=True))


def test_a_tree_says_all_there_is_to_know_about_a_view() -> None:
    tree = CourseTree.build(
        [
            aggregator("course", "a", "b"),
            aggregator("a", "x", "y"),
            leaf("x"),
            leaf("y", optional=True),
            aggregator("b", "z"),
            leaf("z"),
        ]
    )

    assert tree == CourseTree(
        aggregators=("course", "a", "b"),
        possible=(2, 1, 1),
        optional_possible=(1, 1, 0),
        leaves={"x": 0, "y": 1, "z": 2},
        ancestors=((0, 1), (0, 1), (0, 2)),
        optional=(False, True, False),
    )


def test_a_course_of_nothing_but_itself_has_nothing_to_do() -> None:
    tree = CourseTree.build([aggregator("course")])

    assert tree == CourseTree(
        aggregators=("course",), possible=(0,), optional_possible=(0,), leaves={}, ancestors=(), optional=()
    )


def test_blocks_may_come_from_an_iterator() -> None:
    blocks = [aggregator("course", "x"), leaf("x")]

    assert CourseTree.build(iter(blocks)) == CourseTree.build(blocks)


def test_no_blocks_are_refused() -> None:
    with pytest.raises(CourseTreeError, match=r"^A course needs at least its course block\.$"):
        CourseTree.build([])


@pytest.mark.parametrize("mode", [COMPLETABLE, EXCLUDED])
def test_a_root_that_does_not_aggregate_is_refused(mode: CompletionMode) -> None:
    with pytest.raises(CourseTreeError, match=r"^The first block, x, must be an aggregator: it is the course\.$"):
        CourseTree.build([Block(key="x", block_type="html", mode=mode)])


def test_a_key_that_is_there_twice_is_refused_by_name() -> None:
    with pytest.raises(CourseTreeError, match=r"^Block x is listed twice\.$"):
        CourseTree.build([aggregator("course", "x", "y"), leaf("x"), leaf("y"), leaf("x")])


def test_an_unknown_child_is_refused_by_name() -> None:
    with pytest.raises(CourseTreeError, match=r"^Block gone is a child but not a block of the course\.$"):
        CourseTree.build([aggregator("course", "x", "gone"), leaf("x")])


def test_a_cycle_is_refused_and_named_from_parent_to_child() -> None:
    blocks = [aggregator("course", "a"), aggregator("a", "b"), aggregator("b", "c"), aggregator("c", "a"), leaf("x")]

    with pytest.raises(CourseTreeError) as refused:
        CourseTree.build(blocks)

    rotations = ("a > b > c > a", "b > c > a > b", "c > a > b > c")
    assert str(refused.value) in [f"These blocks contain each other: {cycle}." for cycle in rotations]


def test_a_block_that_contains_itself_is_a_cycle() -> None:
    with pytest.raises(CourseTreeError, match=r"^These blocks contain each other: a > a\.$"):
        CourseTree.build([aggregator("course", "a"), aggregator("a", "a")])


def test_a_cycle_is_found_even_where_nobody_gets() -> None:
    with pytest.raises(CourseTreeError, match=r"^These blocks contain each other: a > a\.$"):
        CourseTree.build([aggregator("course"), aggregator("a", "a")])


def test_a_block_under_two_parents_counts_once_in_every_ancestor() -> None:
    tree = CourseTree.build(
        [
            aggregator("course", "chapter"),
            aggregator("chapter", "a", "b"),
            aggregator("a", "shared"),
            aggregator("b", "shared", "own"),
            leaf("shared"),
            leaf("own"),
        ]
    )

    assert counts(tree) == {"course": (2, 0), "chapter": (2, 0), "a": (1, 0), "b": (2, 0)}
    assert tree.ancestors == ((0, 1, 2, 3), (0, 1, 3))


def test_an_aggregator_under_two_parents_counts_its_blocks_once() -> None:
    tree = CourseTree.build(
        [
            aggregator("course", "a", "b"),
            aggregator("a", "shared"),
            aggregator("b", "shared"),
            aggregator("shared", "x", "y"),
            leaf("x"),
            leaf("y"),
        ]
    )

    assert counts(tree) == {"course": (2, 0), "a": (2, 0), "b": (2, 0), "shared": (2, 0)}


def test_a_child_that_is_listed_twice_by_its_parent_counts_once() -> None:
    assert counts(CourseTree.build([aggregator("course", "x", "x"), leaf("x")])) == {"course": (1, 0)}


def test_everything_under_an_excluded_block_counts_nothing() -> None:
    tree = CourseTree.build(
        [
            aggregator("course", "hidden", "x"),
            Block(key="hidden", block_type="wiki", mode=EXCLUDED, children=("a",)),
            aggregator("a", "y"),
            leaf("y"),
            leaf("x"),
        ]
    )

    assert (tree.aggregators, tree.possible, tree.leaves) == (("course",), (1,), {"x": 0})


def test_a_block_under_an_excluded_block_counts_where_another_path_leads_to_it() -> None:
    tree = CourseTree.build(
        [
            aggregator("course", "hidden", "a"),
            Block(key="hidden", block_type="wiki", mode=EXCLUDED, children=("x",)),
            aggregator("a", "x"),
            leaf("x"),
        ]
    )

    assert (tree.aggregators, tree.possible, tree.ancestors) == (("course", "a"), (1, 1), ((0, 1),))


def test_a_completable_block_with_children_counts_as_one() -> None:
    tree = CourseTree.build(
        [
            aggregator("course", "quiz"),
            Block(key="quiz", block_type="problem", children=("question", "page")),
            leaf("question"),
            aggregator("page", "text"),
            leaf("text"),
        ]
    )

    assert (tree.aggregators, tree.possible, tree.leaves) == (("course",), (1,), {"quiz": 0})


def test_blocks_without_a_parent_do_not_count() -> None:
    tree = CourseTree.build([aggregator("course", "x"), leaf("x"), aggregator("lost", "y"), leaf("y")])

    assert (tree.aggregators, tree.possible, tree.leaves) == (("course",), (1,), {"x": 0})


def test_optional_is_inherited_by_all_descendants() -> None:
    tree = CourseTree.build(
        [
            aggregator("course", "extra", "x"),
            aggregator("extra", "a", optional=True),
            aggregator("a", "y"),
            leaf("y"),
            leaf("x"),
        ]
    )

    assert counts(tree) == {"course": (1, 1), "extra": (0, 1), "a": (0, 1)}


def test_everything_in_an_optional_course_is_optional() -> None:
    tree = CourseTree.build([aggregator("course", "a", optional=True), aggregator("a", "x"), leaf("x")])

    assert counts(tree) == {"course": (0, 1), "a": (0, 1)}


@pytest.mark.parametrize(("second_is_optional", "expected"), [(True, (0, 1)), (False, (1, 0))])
def test_a_block_is_optional_when_every_path_leads_through_an_optional_one(
    second_is_optional: bool, expected: tuple[int, int]
) -> None:
    tree = CourseTree.build(
        [
            aggregator("course", "a", "b"),
            aggregator("a", "x", optional=True),
            aggregator("b", "x", optional=second_is_optional),
            leaf("x"),
        ]
    )

    assert counts(tree) == dict.fromkeys(("course", "a", "b"), expected)


def test_aggregators_and_leaves_come_in_course_order_wherever_their_parents_stand() -> None:
    tree = CourseTree.build(
        [aggregator("course", "b", "a"), aggregator("a", "y"), leaf("x"), leaf("y"), aggregator("b", "x", "a")]
    )

    assert (tree.aggregators, tree.leaves) == (("course", "a", "b"), {"x": 0, "y": 1})
    assert tree.ancestors == ((0, 2), (0, 1, 2))


def chain(depth: int) -> list[Block]:
    return [*(aggregator(str(level), str(level + 1)) for level in range(depth - 1)), leaf(str(depth - 1))]


def test_a_course_may_be_as_deep_as_the_limit() -> None:
    tree = CourseTree.build(chain(MAX_DEPTH))

    assert tree.possible == (1,) * (MAX_DEPTH - 1)


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 10_000])
def test_a_course_that_is_deeper_is_refused(depth: int) -> None:
    with pytest.raises(CourseTreeError, match=r"^The course has more than 100 blocks one below the other.$"):
        CourseTree.build(chain(depth))


def test_it_is_the_longest_way_down_that_counts() -> None:
    blocks = chain(MAX_DEPTH)
    short = aggregator("0", "1", str(MAX_DEPTH - 1))
    assert CourseTree.build([short, *blocks[1:]]).possible[0] == 1

    with pytest.raises(CourseTreeError, match="one below the other"):
        CourseTree.build([aggregator("-1", "50", "0"), *blocks])


def wide(blocks: int) -> list[Block]:
    keys = [str(number) for number in range(1, blocks)]
    return [aggregator("course", *keys), *map(leaf, keys)]


def test_a_course_may_have_as_many_blocks_as_the_limit() -> None:
    assert CourseTree.build(wide(MAX_BLOCKS)).possible == (MAX_BLOCKS - 1,)


def test_a_course_of_more_blocks_is_refused() -> None:
    with pytest.raises(CourseTreeError, match=r"^The course has 50001 blocks; 50000 are the limit.$"):
        CourseTree.build(wide(MAX_BLOCKS + 1))
