"""A client that is generated from docs/reference/openapi.yaml, and the demo over HTTP."""

from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from tests.openapi.conftest import ROOT

COURSE = "course-v1:Sample+SKY101+2026"
MOON = "block-v1:Sample+SKY101+2026+type@chapter+block@the_moon"
NAME = "completion_client"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Import a module of the generated client, by its name."""
    directory = tmp_path_factory.mktemp("generated")
    config = directory / "config.yaml"
    config.write_text(f"package_name_override: {NAME}\npost_hooks: []\n")
    subprocess.run(  # noqa: S603
        [
            *(str(Path(sys.executable).with_name("openapi-python-client")), "generate", "--meta", "none"),
            *("--path", str(ROOT / "docs/reference/openapi.yaml"), "--config", str(config), "--fail-on-warning"),
            *("--output-path", str(directory / NAME)),
        ],
        check=True,
        cwd=directory,
    )
    sys.path.insert(0, str(directory))

    def module(name: str) -> ModuleType:
        return importlib.import_module(f"{NAME}.{name}")

    yield module
    sys.path.remove(str(directory))
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def client(package: Any, demo: str) -> Iterator[Any]:
    """Ask the demo: `client("completion.get_course_stats", COURSE)`, as staff or another account."""
    clients = {}
    for account in ("staff", "learner", "nobody"):
        clients[account] = package("client").Client(base_url=demo)
        auth = None if account == "nobody" else httpx.BasicAuth(account, account)
        clients[account].set_httpx_client(httpx.Client(base_url=demo, auth=auth))

    def ask(operation: str, *args: Any, account: str = "staff", **kwargs: Any) -> Any:
        answer = package(f"api.{operation}").sync_detailed(*args, client=clients[account], **kwargs)
        return answer.status_code, answer.parsed

    yield ask
    for each in clients.values():
        each.get_httpx_client().close()


def test_the_documented_program(package: Any, demo: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs/reference/openapi.rst").read_text()
    program, printed = page.split("With the demo running")[1].split(".. code-block:: text")
    code = textwrap.dedent(program.split(".. code-block:: python\n")[1].split("\nIt prints")[0])

    exec(code.replace("http://127.0.0.1:8000", demo), {})  # noqa: S102

    assert capsys.readouterr().out == textwrap.dedent(printed.split("The modules")[0]).strip() + "\n"


def test_courses_of_a_learner(client: Any) -> None:
    status, page = client(
        "completion.list_course_completions", username="me", requested_fields="username,chapter", account="learner"
    )

    assert [result.course_key for result in page.results] == [COURSE, "course-v1:Sample+TID101+2026"]
    result = page.results[0]
    assert status == 200
    assert (result.course_key, result.username) == (COURSE, "learner")
    assert (result.completion.earned, result.completion.possible) == (126.5, 248.0)
    assert result.completion.percent == 126.5 / 248.0
    assert MOON in [chapter.block_key for chapter in result.chapter]


def test_everybody_page_by_page(client: Any) -> None:
    status, page = client("completion.get_course_completion", COURSE, page_size=2, page=2)

    assert status == 200
    assert [result.username for result in page.results] == ["learner_1_00002", "learner_1_00003"]
    assert (page.pagination.count, page.pagination.num_pages) == (300, 150)
    assert page.pagination.previous.endswith("/?page_size=2")
    assert page.pagination.next_.endswith("/?page=3&page_size=2")


def test_a_walk_and_the_last_page_end(client: Any) -> None:
    walk = client("completion.get_course_completion", COURSE, cursor="", page_size=300)[1]
    last = client("completion.get_course_completion", COURSE, page="last", page_size=1)[1]

    assert len(walk.results) == 300
    assert walk.pagination.next_ is None
    assert [result.username for result in last.results] == ["learner_1_00299"]


def test_a_question_with_a_body(client: Any, package: Any) -> None:
    question = package("models").CourseQuestion(user_ids=[1, 2], requested_fields=["sequential"], root_block=MOON)

    status, page = client("completion.query_course_completion", COURSE, body=question)

    assert status == 200
    assert [result.username for result in page.results] == ["learner_1_00000", "learner_1_00001"]
    assert [len(result.sequential) for result in page.results] == [3, 3]
    assert {result.completion.possible for result in page.results} == {46.0}


def test_the_mean(client: Any) -> None:
    status, answer = client("completion.get_course_stats", COURSE, requested_fields="mean", exclude_roles="beta")

    (stats,) = answer.results
    assert status == 200
    assert stats.mean == 0.34811155913978475
    assert stats.mean_completion.possible == 248.0
    assert (stats.filters.cohorts, stats.filters.exclude_roles) == (None, ["beta_testers"])


def test_filters_and_order(client: Any, package: Any) -> None:
    page = client(
        "completion.get_course_completion",
        COURSE,
        percent_min=1e-05,
        percent_max=0.99,
        search="LEARNER_1_0001",
        ordering=package("models").GetCourseCompletionOrdering("-percent"),
        requested_fields="as_of,names",
        page_size=100,
    )[1]

    percents = [result.completion.percent for result in page.results]
    assert percents == sorted(percents, reverse=True)
    assert 0 < len(percents) <= 10
    assert {result.as_of.is_stale for result in page.results} == {False}


def test_a_file(client: Any, package: Any) -> None:
    status, text = client(
        "completion.export_course_completion", COURSE, type_=package("models").ExportCourseCompletionType("csv")
    )

    head, *rows = text.splitlines()
    assert status == 200
    assert head == "user_id,username,earned,possible,percent,last_activity,completed_at"
    assert len(rows) == 300


def test_a_class(client: Any) -> None:
    status, summary = client("completion.get_course_summary", COURSE)

    assert status == 200
    assert (summary.enrolled, summary.not_started, summary.in_progress, summary.completed) == (300, 37, 263, 0)
    assert sum(cohort.enrolled for cohort in summary.cohorts) == sum(summary.histogram) == 300
    assert len(summary.sections) == 6


def test_an_explanation(client: Any) -> None:
    status, explanation = client("completion.explain_completion", COURSE, username="me", account="learner")

    def count(block: Any) -> float:
        own = block.value if block.counted and block.value is not None else 0.0
        return own + sum(map(count, block.children))

    assert status == 200
    assert explanation.completion.earned == count(explanation.root) == 126.5
    assert sum(part.completion.possible for part in explanation.parts) == 248.0
    assert explanation.stored.completion.earned == 126.5


def test_many_at_once(client: Any, package: Any) -> None:
    question = package("models").BulkQuestion(users=["learner", "nobody"], course_keys=[COURSE])

    status, answer = client("completion.query_completions_in_bulk", body=question)

    assert status == 200
    assert [(pair.username, pair.completion.earned, pair.is_stale) for pair in answer.results] == [
        ("learner", 126.5, False)
    ]
    assert answer.unknown_users == ["nobody"]


def test_recomputing(client: Any, package: Any) -> None:
    question = package("models").RefreshQuestion(username="me")

    status, answer = client("completion.refresh_completion", COURSE, body=question, account="learner")

    assert status == 200
    assert answer.completion.earned == 126.5
    assert answer.computed_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("account", "course_key", "parameters", "status", "detail"),
    [
        ("staff", COURSE, {"requested_fields": "capa"}, 400, "requested_fields knows nothing of: capa."),
        ("nobody", COURSE, {}, 401, "Authentication credentials were not provided."),
        ("learner", COURSE, {}, 403, "Only staff may ask for others; ask with your own username."),
        ("staff", COURSE, {"username": "nobody"}, 404, "There is no such user."),
        ("staff", "nonsense", {}, 404, "Invalid course key."),
    ],
)
def test_what_is_refused(
    client: Any, account: str, course_key: str, parameters: dict[str, Any], status: int, detail: str
) -> None:
    answer = client("completion.get_course_completion", course_key, account=account, **parameters)

    assert (answer[0], answer[1].detail) == (status, detail)


def test_version_0(client: Any, package: Any) -> None:
    before = client("v0.get_course_completion_v0", COURSE, account="learner")[1].completion
    body = package("models").SubmittedCompletion(completion=1.0)

    status, error = client("v0.submit_block_completion_v0", "nonsense", "nonsense", body=body)

    assert before.ratio == before.percent == 126.5 / 248.0
    assert (status, error.detail) == (404, "Invalid course key.")
