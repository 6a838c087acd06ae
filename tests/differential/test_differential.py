"""4.5.0 and this package, asked the same on the same data in MariaDB: every difference is a deliberate one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from benchmarks import databases
from benchmarks.child import ROOT, Child
from benchmarks.peer import environment
from tests.differential.compare import Answer, Divergence, compare
from tests.differential.differences import IN_REQUESTS
from tests.differential.questions import Question, all_questions

pytestmark = pytest.mark.services

QUESTIONS = all_questions()
OURS, PEER = "completion_aggregator_differential", "completion_aggregator_differential_peer"


@pytest.fixture(scope="module")
def sides() -> Iterator[dict[str, Child]]:
    """Both packages, each in a process and a database of its own, filled with the same."""
    settings = {
        "ours": (sys.executable, "sample_lms.settings", OURS, {"PYTHONPATH": str(ROOT), "CACHE_URL": "locmemcache://"}),
        # It finds the tests after what is installed there; see `environment`.
        "peer": (environment.ensure(), "benchmarks.peer.settings", PEER, {"PYTHONPATH": ""}),
    }
    with databases.fresh("mariadb", OURS, PEER), ExitStack() as stack:
        children = {
            side: stack.enter_context(
                Child(
                    python,
                    f"tests.differential.{side}",
                    more | {"DJANGO_SETTINGS_MODULE": module, "DATABASE_URL": databases.url("mariadb", name)},
                )
            )
            for side, (python, module, name, more) in settings.items()
        }
        ask(children, "build")
        yield children


def ask(sides: dict[str, Child], step: str, **arguments: Any) -> dict[str, Any]:
    """Let both sides do a step, at the same time; return their answers."""
    for child in sides.values():
        child.send(step, **arguments)
    return {side: child.receive()["answer"] for side, child in sides.items()}


@pytest.fixture(scope="module")
def answers(sides: dict[str, Child]) -> list[tuple[Question, Answer, Answer]]:
    found = ask(sides, "answer", questions=[question.as_json() for question in QUESTIONS])
    return list(zip(QUESTIONS, found["peer"], found["ours"], strict=True))


def divergences(answers: list[tuple[Question, Answer, Answer]]) -> Iterator[tuple[Question, Divergence]]:
    for question, peer, ours in answers:
        for found in compare(peer, ours):
            yield question, found


def test_every_difference_is_explained(answers: list[tuple[Question, Answer, Answer]]) -> None:
    unexplained = [
        f"{question}\n    {found.path}: {found.peer!r} -> {found.ours!r}"
        for question, found in divergences(answers)
        if not any(each.covers and each.covers(question, found) for each in IN_REQUESTS)
    ]

    assert not unexplained, "\n".join([f"{len(unexplained)} differences without an explanation:", *unexplained[:50]])


def test_every_explanation_explains_something(answers: list[tuple[Question, Answer, Answer]]) -> None:
    found = list(divergences(answers))
    idle = [
        each.feature
        for each in IN_REQUESTS
        if not any(each.covers and each.covers(question, divergence) for question, divergence in found)
    ]

    assert idle == []


def test_nothing_is_a_fault_of_our_server(answers: list[tuple[Question, Answer, Answer]]) -> None:
    assert [str(question) for question, _, ours in answers if ours["status"] >= 500] == []


def test_most_answers_are_the_same(answers: list[tuple[Question, Answer, Answer]]) -> None:
    """Otherwise the explanations might cover everything, and nothing would be compared."""
    good = [(peer, ours) for _, peer, ours in answers if peer["status"] < 400]

    assert len(good) > 400
    assert sum(not compare(peer, ours) for peer, ours in good) > len(good) / 2


def test_python_code_of_others_is_told_the_same(sides: dict[str, Child]) -> None:
    found = ask(sides, "call")

    peer, ours = ({"status": 200, "body": found[side]} for side in ("peer", "ours"))
    assert [each for each in compare(peer, ours) if not each.path.endswith("/user_id")] == []
