"""The receivers that docs/howto/events.rst shows, as they stand there."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache

from completion_aggregator.services import aggregate_stale
from completion_aggregator.signals import progress_changed, threshold_reached
from tests.factories import COURSE_KEY, complete

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = Path(__file__).resolve().parent.parent.parent / "docs/howto/events.rst"


@pytest.fixture
def run() -> Iterator[Callable[[str], None]]:
    """Execute the example of this name."""
    kept: list[dict[str, Any]] = []  # for signals hold their receivers weakly

    def execute(name: str) -> None:
        pattern = rf"^\.\. code-block:: python\n    :name: {name}\n\n((?:    .*\n|\n)+)"
        (code,) = re.findall(pattern, PAGE.read_text(), flags=re.MULTILINE)
        kept.append({})
        exec(textwrap.dedent(code), kept[-1])  # noqa: S102

    yield execute
    progress_changed.disconnect(dispatch_uid="forget_tile")
    for uid in ("join_the_finishers", "congratulate"):
        threshold_reached.disconnect(dispatch_uid=uid)


def do_everything(user: Any) -> None:
    complete(user, "html/h1", "html/h2", "problem/p1", "html/h3", "html/h4", "video/m1")
    aggregate_stale()


def test_a_cached_tile_is_forgotten(learner: Any, run: Any) -> None:
    run("progress-changed")
    cache.set(f"tile:{learner.pk}:{COURSE_KEY}", "0 %")
    do_everything(learner)

    assert cache.get(f"tile:{learner.pk}:{COURSE_KEY}") is None


def test_whoever_has_finished_joins_a_group(learner: Any, run: Any) -> None:
    run("threshold-reached")
    do_everything(learner)

    assert list(Group.objects.values_list("name", "user")) == [(f"finished {COURSE_KEY}", learner.pk)]


def test_a_task_is_sent_on_commit(learner: Any, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    class Congratulate:
        @staticmethod
        def delay(*arguments: Any) -> None:
            sent.append(arguments)

    site, tasks = ModuleType("yoursite"), ModuleType("yoursite.tasks")
    tasks.congratulate = Congratulate  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "yoursite", site)
    monkeypatch.setitem(sys.modules, "yoursite.tasks", tasks)
    run("on-commit")
    do_everything(learner)

    assert sent == [(learner.pk, str(COURSE_KEY), threshold) for threshold in (0.25, 0.5, 0.75, 1.0)]
