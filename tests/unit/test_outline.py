"""What the dashboard tells of each block of a learner's course."""

from __future__ import annotations

from completion_aggregator.dashboard.outline import outline
from completion_aggregator.engine import Tally
from completion_aggregator.selectors.explain import ExplainedBlock, Reason, Standing


def explained(
    name: str, reason: Reason, *children: ExplainedBlock, value: float | None = None, tally: Tally | None = None
) -> ExplainedBlock:
    return ExplainedBlock(
        block_key=name,
        block_type="block",
        display_name=name,
        standing=Standing(reason),
        repeated=False,
        value=value,
        modified=None,
        tally=tally,
        children=children,
    )


def test_the_branch_of_an_ab_test_stands_where_the_test_is_taken_out() -> None:
    ours = explained("ours", Reason.COUNTED, value=1.0)
    theirs = explained("theirs", Reason.OTHER_GROUP)
    test = explained(
        "test", Reason.HIDDEN, explained("branch", Reason.HIDDEN, ours), explained("b", Reason.HIDDEN, theirs)
    )
    course = explained("course", Reason.COUNTED, test, tally=Tally(1.0, 1))

    node = outline(course)
    assert [(each.name, each.state) for each in node.children] == [("ours", "done")]
    assert (node.state, node.share) == ("part", 1.0)


def test_what_is_hidden_is_told_without_what_is_in_it() -> None:
    hidden = explained("later", Reason.NOT_RELEASED, explained("in it", Reason.NOT_RELEASED))
    node = outline(explained("course", Reason.COUNTED, hidden, tally=Tally(0.0, 0)))

    assert [(each.name, each.state, list(each.children)) for each in node.children] == [("later", "out", [])]
