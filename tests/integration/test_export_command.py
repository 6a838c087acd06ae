"""`manage.py export_progress`."""

from __future__ import annotations

import io
import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from completion_aggregator.exports import Export, ExportType
from completion_aggregator.services import aggregate_stale
from tests.factories import COURSE_KEY, EnrollmentFactory, UserFactory, complete


@pytest.fixture
def people(learner: Any) -> list[Any]:
    users = [learner, *(EnrollmentFactory(user=UserFactory(username=name)).user for name in ("bob", "cy"))]
    complete(users[1], "html/h1", "html/h2", "problem/p1")
    aggregate_stale()
    return users


def run(*arguments: str) -> tuple[str, str]:
    """Run the command; return what went to both outputs."""
    out, err = io.StringIO(), io.StringIO()
    call_command("export_progress", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def expected(**options: Any) -> str:
    export = Export(course_key=COURSE_KEY, **options)
    return export.head + "".join(map(export.text, export.batches()))


def test_it_writes_csv_to_standard_output_and_nothing_else(people: list[Any]) -> None:
    out, err = run(str(COURSE_KEY))

    assert out == expected(type=ExportType.CSV)
    assert out.count("\r\n") == 4
    assert err.splitlines()[-1] == "Learners: 3 of 3"


def test_it_writes_a_file(people: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    path.write_text("old")

    out, err = run(str(COURSE_KEY), "--type=jsonl", f"--output={path}", "--fields=chapter,names", "--include-optional")
    assert (out.splitlines()[-1], err) == (f"{path}: 3 learners", "")
    assert path.read_text() == expected(type=ExportType.JSONL, fields=["chapter", "names"], include_optional=True)
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & stat.S_IRUSR


def test_it_filters_and_sorts(people: list[Any]) -> None:
    out, _ = run(str(COURSE_KEY), "--type=jsonl", "--percent-max=0.4", "--ordering=-username")
    assert [json.loads(line)["username"] for line in out.splitlines()] == ["cy", "ada"]
    out, _ = run(str(COURSE_KEY), "--type=jsonl", "--status=in_progress", "--percent-min=0.5")
    assert [json.loads(line)["username"] for line in out.splitlines()] == ["bob"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "'nonsense' is not a course key."),
        (["course-v1:No+Such+Course"], "The LMS has no course course-v1:No+Such+Course."),
        ([str(COURSE_KEY), "--fields=html,chapter,zebra"], "--fields knows nothing of: html, zebra."),
        ([str(COURSE_KEY), "--percent-min=2"], "--percent-min must be from 0 to 1."),
        ([str(COURSE_KEY), "--percent-max=nan"], "--percent-max must be from 0 to 1."),
        ([str(COURSE_KEY), "--output=/no/such/directory/x"], "/no/such/directory/x cannot be written: No such file"),
    ],
)
def test_bad_input_is_one_line(people: list[Any], arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError) as error:
        run(*arguments)
    assert str(error.value).startswith(message)


def test_nothing_is_half_written(people: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "progress.csv"
    path.write_text("old")

    def fail(self: Export) -> Any:
        yield []
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Export, "batches", fail)
    with pytest.raises(CommandError, match="No space left on device"):
        run(str(COURSE_KEY), f"--output={path}")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_unknown_type_ends_with_a_usage_message() -> None:
    command = [sys.executable, "manage.py", "export_progress", "x", "--type=xlsx"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
