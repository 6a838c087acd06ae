"""What holds of every course and every learner: random courses against a naive reference."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from completion_aggregator.engine import (
    Block,
    Completion,
    CompletionMode,
    CourseTree,
    Tally,
    affected,
    roll_up,
    tally_leaf,
)

MAX_BLOCKS = 10
START = datetime(2025, 1, 1, tzinfo=UTC)

Done = dict[str, Completion]

moments = st.integers(0, 50).map(lambda seconds: START + timedelta(seconds=seconds))
any_values = st.floats(allow_nan=True, allow_infinity=True) | st.floats(0.0, 1.0)
#: Sums of these are exact, whatever the order.
dyadic_values = st.integers(0, 8).map(lambda eighths: eighths / 8)

records = st.builds(Completion, any_values, moments)


@st.composite
def courses(draw: st.DrawFn, max_parents: int = 3) -> list[Block]:
    """Draw a course: the parents of a block stand before it; some blocks have none, some have several."""
    size = draw(st.integers(1, MAX_BLOCKS))
    children: dict[int, list[str]] = {place: [] for place in range(size)}
    for place in range(1, size):
        for parent in draw(st.sets(st.integers(0, place - 1), max_size=max_parents)):
            children[parent].append(f"b{place}")
    modes = [CompletionMode.AGGREGATOR, *(draw(st.sampled_from(CompletionMode)) for _ in range(size - 1))]
    # A course of aggregators and leaves is what makes sums interesting; excluded blocks stay rare.
    return [
        Block(
            key=f"b{place}",
            block_type="any",
            mode=modes[place],
            optional=draw(st.integers(0, 3)) == 0,
            children=tuple(draw(st.permutations(children[place]))),
        )
        for place in range(size)
    ]


def completions(values: st.SearchStrategy[float] = any_values) -> st.SearchStrategy[Done]:
    keys = st.integers(0, MAX_BLOCKS).map(lambda place: f"b{place}")
    return st.dictionaries(keys, st.builds(Completion, values, moments))


def paths(blocks: Mapping[str, Block], start: Block) -> Iterator[tuple[Block, ...]]:
    """Give every path that counts from a block downwards, the block itself being one."""
    yield (start,)
    if start.mode == CompletionMode.AGGREGATOR:
        for child in start.children:
            for path in paths(blocks, blocks[child]):
                yield (start, *path)


def reference(course: Sequence[Block], done: Done) -> dict[str, Tally]:
    """Work out every aggregator's tally the slow way: by walking all paths."""
    by_key = {block.key: block for block in course}
    from_root = list(paths(by_key, course[0]))
    required = {path[-1].key for path in from_root if not any(block.optional for block in path)}
    seen = {path[-1].key for path in from_root}
    found = {}
    for block in course:
        if block.key in seen and block.mode == CompletionMode.AGGREGATOR:
            below = {path[-1].key for path in paths(by_key, block) if path[-1].mode == CompletionMode.COMPLETABLE}
            # In course order: floats are added in the same order, so that they can be compared exactly.
            leaves = [each.key for each in course if each.key in below]
            found[block.key] = Tally(
                earned=sum((_value(done, key) for key in leaves if key in required), 0.0),
                possible=len(below & required),
                optional_earned=sum((_value(done, key) for key in leaves if key not in required), 0.0),
                optional_possible=len(below - required),
                last_modified=max((done[key].modified for key in leaves if key in done), default=None),
            )
    return found


def _value(done: Done, key: str) -> float:
    value = done[key].value if key in done else 0.0
    return 0.0 if value != value else min(1.0, max(0.0, value))


def tallies(tree: CourseTree, done: Done) -> dict[str, Tally]:
    return dict(zip(tree.aggregators, roll_up(tree, done), strict=True))


@given(courses(), completions())
def test_the_engine_agrees_with_the_naive_reference(course: list[Block], done: Done) -> None:
    assert tallies(CourseTree.build(course), done) == reference(course, done)


@given(courses(), completions())
def test_earned_is_never_negative_nor_more_than_possible(course: list[Block], done: Done) -> None:
    for tally in roll_up(CourseTree.build(course), done):
        assert tally.possible is not None
        assert tally.optional_possible is not None
        assert 0.0 <= tally.earned <= tally.possible
        assert 0.0 <= tally.optional_earned <= tally.optional_possible
        assert 0.0 <= tally.percent <= 1.0
        assert 0.0 <= tally.optional_percent <= 1.0


@given(courses(max_parents=1), completions(dyadic_values))
def test_a_parent_is_the_sum_of_its_children(course: list[Block], done: Done) -> None:
    tree = CourseTree.build(course)
    found = tallies(tree, done)
    for block in course:
        if block.key in found:
            parts = [found.get(child) or tally_leaf(tree, done, child) for child in block.children]
            assert found[block.key] == Tally(
                earned=sum(part.earned for part in parts),
                possible=sum(part.possible or 0 for part in parts),
                optional_earned=sum(part.optional_earned for part in parts),
                optional_possible=sum(part.optional_possible or 0 for part in parts),
                last_modified=max((part.last_modified for part in parts if part.last_modified), default=None),
            )


@given(courses(), completions(), st.randoms(use_true_random=False))
def test_the_order_of_completions_does_not_matter(course: list[Block], done: Done, shuffler: random.Random) -> None:
    tree = CourseTree.build(course)
    shuffled = list(done.items())
    shuffler.shuffle(shuffled)

    assert roll_up(tree, dict(shuffled)) == roll_up(tree, done)


@given(
    courses(), st.lists(st.tuples(st.integers(0, MAX_BLOCKS), st.none() | st.builds(Completion, any_values, moments)))
)
def test_recomputing_only_what_is_affected_gives_what_recomputing_everything_gives(
    course: list[Block], history: list[tuple[int, Completion | None]]
) -> None:
    tree = CourseTree.build(course)
    done: Done = {}
    kept = tallies(tree, done)
    for place, completion in history:
        key = f"b{place}"
        if completion is None:
            done.pop(key, None)
        else:
            done[key] = completion
        now = tallies(tree, done)
        kept |= {aggregator: now[aggregator] for aggregator in affected(tree, [key])}
        assert kept == now


@given(courses(), completions(), completions())
def test_aggregators_that_are_not_affected_keep_their_tallies(course: list[Block], done: Done, changed: Done) -> None:
    tree = CourseTree.build(course)
    before, after = tallies(tree, done), tallies(tree, done | changed)

    differing = {key for key in before if before[key] != after[key]}

    assert differing <= affected(tree, changed)


@given(courses(), st.sets(st.integers(0, MAX_BLOCKS)))
def test_completing_something_lowers_nothing(course: list[Block], places: set[int]) -> None:
    tree = CourseTree.build(course)
    done: Done = {}
    before = roll_up(tree, done)
    for place in places:
        done[f"b{place}"] = Completion(1.0, START)
        after = roll_up(tree, done)
        assert all(new.earned >= old.earned for old, new in zip(before, after, strict=True))
        before = after


@given(courses())
def test_doing_everything_completes_everything(course: list[Block]) -> None:
    tree = CourseTree.build(course)
    done = {block.key: Completion(1.0, START) for block in course}

    assert {(tally.percent, tally.optional_percent) for tally in roll_up(tree, done)} == {(1.0, 1.0)}
