"""The examples of docs/reference/python.rst, as they stand there; and `get_course_completions`, which they use."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from completion_aggregator.exceptions import UnknownBlockError
from completion_aggregator.models import CourseAggregate
from completion_aggregator.selectors import Progress, get_course_completion, get_course_completions, roster
from completion_aggregator.services import aggregate_stale
from tests.factories import COURSE_KEY, EnrollmentFactory, UserFactory, complete, key

PAGE = Path(__file__).resolve().parent.parent.parent / "docs/reference/python.rst"
ALL = ("html/h1", "html/h2", "problem/p1", "html/h3", "html/h4", "video/m1")


def run(name: str, **names: Any) -> dict[str, Any]:
    """Execute the example of this name, and those before it; return its variables."""
    examples = re.findall(
        r"^\.\. code-block:: python\n    :name: (.+)\n\n((?:    .*\n|\n)+)", PAGE.read_text(), flags=re.MULTILINE
    )
    variables = {"course_key": COURSE_KEY} | names
    for each, code in examples:
        exec(textwrap.dedent(code), variables)  # noqa: S102
        if each == name:
            return variables
    raise AssertionError(f"no example {name}")


@pytest.fixture
def people(learner: Any) -> list[Any]:
    """Three learners: ada has done two of six blocks, bob all, cy nothing; and eve, who has left, all."""
    users = [learner, *(EnrollmentFactory(user=UserFactory(username=name)).user for name in ("bob", "cy"))]
    complete(learner, "html/h1", "html/h4")
    complete(users[1], *ALL)
    complete(EnrollmentFactory(user=UserFactory(username="eve"), is_active=False).user, *ALL)
    aggregate_stale()
    return users


def test_the_examples_run_and_tell_the_truth(people: list[Any]) -> None:
    ada, bob, cy = people
    chapters = {key("chapter/c1"): 0.25, key("chapter/c2"): 0.5}
    names = {"user": ada, "user_ids": [cy.pk, ada.pk, 10**9]}

    variables = run("recompute", **names)
    assert (variables["percent"], variables["chapters"]) == (2 / 6, chapters)
    assert variables["sections"] == [("chapter/c1", 0.25, None), ("chapter/c2", 0.5, None)]
    assert variables["go_on"] == f"/courses/{COURSE_KEY}/jump_to/{key('vertical/v1')}/"
    assert variables["eligible"] == [bob.pk]
    assert variables["by_user"] == {ada.pk: 2 / 6, cy.pk: 0.0}
    activity = CourseAggregate.objects.get(user=ada).last_modified
    assert (variables["quiet"], variables["more"]) == ([("ada", 2 / 6, activity)], None)
    assert (variables["report"].learners, variables["report"].written) == (1, 0)


def test_everybody_comes_with_what_one_learner_is_told(people: list[Any]) -> None:
    everybody = get_course_completions(COURSE_KEY, block_types=["chapter", "vertical"])

    assert everybody == [
        get_course_completion(user, COURSE_KEY, block_types=["chapter", "vertical"]) for user in people
    ]
    below = get_course_completions(COURSE_KEY, root_block=key("chapter/c2"))
    assert [each.percent for each in below] == [0.5, 1.0, 0.0]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"percent_min": 0.3}, ["ada", "bob"]),
        ({"percent_max": 0.5}, ["ada", "cy"]),
        ({"status": Progress.NOT_STARTED}, ["cy"]),
        ({"status": Progress.COMPLETED, "percent_max": 0.5}, []),
        ({"users": []}, []),
    ],
)
def test_filters_narrow_down(people: list[Any], filters: dict[str, Any], names: list[str]) -> None:
    assert [each.learner.username for each in get_course_completions(COURSE_KEY, **filters)] == names


def test_an_unknown_root_block_is_refused(people: list[Any]) -> None:
    with pytest.raises(UnknownBlockError):
        get_course_completions(COURSE_KEY, root_block=key("html/nowhere"))


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_a_course_is_read_in_batches(people: list[Any], monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    expected = get_course_completions(COURSE_KEY, block_types=["chapter"])
    monkeypatch.setattr(roster, "BATCH_SIZE", size)

    with CaptureQueriesContext(connection) as captured:
        assert get_course_completions(COURSE_KEY, block_types=["chapter"]) == expected
    assert len(captured) == 5 * -(-3 // size)
