"""GET export/<course_key>/: a course as a file."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from completion_aggregator import exports
from completion_aggregator.models import CourseAggregate
from completion_aggregator.services import aggregate_stale
from tests.acceptance.helpers import DETAIL, OTHER_KEY, ROOT, ask, checked, stored_rows
from tests.factories import (
    COURSE_KEY,
    EnrollmentFactory,
    RoleFactory,
    UserFactory,
    block,
    complete,
    key,
    publish_course,
)

EXPORT = f"{ROOT}export/{COURSE_KEY}/"


def fetch(user: Any, **query: Any) -> str:
    """Ask for a file; return its text."""
    client = Client()
    client.force_login(user)
    before = stored_rows()
    response = client.get(EXPORT, {"type": "csv", **query})
    assert response.status_code == 200, response.content
    assert response.streaming
    text = b"".join(response.streaming_content).decode()
    assert stored_rows() == before
    return text


def rows(user: Any, **query: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(fetch(user, **query))))


def lines(user: Any, **query: Any) -> list[Any]:
    return [json.loads(line) for line in fetch(user, type="jsonl", **query).splitlines()]


@pytest.fixture
def people(learner: Any) -> list[Any]:
    """Three learners: ada has done four of six blocks, bob all, cy was never aggregated."""
    users = [learner, EnrollmentFactory(user=UserFactory(username="bob")).user]
    complete(learner, "html/h1", "html/h2", "problem/p1", "html/h4")
    complete(users[1], "html/h1", "html/h2", "problem/p1", "html/h3", "html/h4", "video/m1")
    aggregate_stale()
    return [*users, EnrollmentFactory(user=UserFactory(username="cy")).user]


def moment(value: datetime | None) -> str:
    return "" if value is None else value.isoformat(timespec="seconds")


def test_csv_has_a_line_for_each_learner(people: list[Any], staff: Any) -> None:
    stored = {row.user_id: row for row in CourseAggregate.objects.all()}
    ada, bob, cy = people

    assert rows(staff, requested_fields="chapter") == [
        {
            "user_id": str(user.pk),
            "username": user.username,
            "earned": earned,
            "possible": possible,
            "percent": percent,
            "last_activity": moment(stored[user.pk].last_modified) if user.pk in stored else "",
            "completed_at": moment(stored[user.pk].completed_at) if user.pk in stored else "",
            key("chapter/c1"): first,
            key("chapter/c2"): second,
        }
        for user, earned, possible, percent, first, second in (
            (ada, "4.0", "6.0", str(4 / 6), "0.75", "0.5"),
            (bob, "6.0", "6.0", "1.0", "1.0", "1.0"),
            (cy, "0.0", "", "0.0", "", ""),
        )
    ]
    assert stored[bob.pk].completed_at is not None


def test_csv_tells_what_is_requested(people: list[Any], staff: Any) -> None:
    complete(people[0], "html/h3")
    people[0].first_name = "Ada"
    people[0].save()

    query = {"requested_fields": "as_of,names,mean,sequential", "include_optional": "true", "search": "ada"}
    (row,) = rows(staff, **query)
    computed_at = CourseAggregate.objects.get(user=people[0]).computed_at
    assert {name: row[name] for name in ("name", "mean", "is_stale", "computed_at")} == {
        "name": "Ada",
        "mean": str((4 / 6 + 1) / 3),
        "is_stale": "True",
        "computed_at": moment(computed_at),
    }
    assert [row[f"optional_{name}"] for name in ("earned", "possible", "percent")] == ["0.0", "0.0", "1.0"]
    assert row[f"sequential/s1 ({key('sequential/s1')})"] == "1.0"


def test_lines_of_json_are_what_the_api_tells(people: list[Any], staff: Any) -> None:
    query = {"requested_fields": "chapter,vertical,as_of,names,mean", "include_optional": "true"}
    told = ask(staff, DETAIL, query)["results"]

    found = lines(staff, **query)
    assert [each.keys() - told[0].keys() for each in found] == [{"last_activity", "completed_at"}] * 3
    assert [{name: each[name] for name in told[0]} for each in found] == told


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["ada", "bob", "cy"]),
        ({"ordering": "-percent"}, ["bob", "ada", "cy"]),
        ({"percent_min": "0.5"}, ["ada", "bob"]),
        ({"status": "completed"}, ["bob"]),
        ({"search": "nobody"}, []),
    ],
)
def test_an_export_takes_the_filters_of_the_answer(
    people: list[Any], staff: Any, query: dict[str, str], names: list[str]
) -> None:
    assert [row["username"] for row in rows(staff, **query)] == names
    assert [row["username"] for row in lines(staff, **query)] == names


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1+cmd", "@SUM(A1)", "\t=1+1", " =1", "|calc", "%x"])
def test_a_formula_is_text_in_a_spreadsheet(learner: Any, staff: Any, name: str) -> None:
    learner.first_name = name
    learner.save()
    publish_course([block("course/course", "chapter/c1"), block("chapter/c1", "html/h1"), block("html/h1")])

    (row,) = rows(staff, requested_fields="names")
    assert row["name"].startswith("'")
    (line,) = lines(staff, requested_fields="names")
    assert line["name"] == name.strip()


def test_texts_stay_whole(learner: Any, staff: Any) -> None:
    learner.first_name, learner.last_name = 'Ada, "the"\nfirst', "Łovelace 愛"
    learner.save()

    (row,) = rows(staff, requested_fields="names")
    assert row["name"] == 'Ada, "the"\nfirst Łovelace 愛'


def test_a_course_without_learners_is_a_file_without_lines(course: Any, staff: Any) -> None:
    assert fetch(staff) == "user_id,username,earned,possible,percent,last_activity,completed_at\r\n"
    assert fetch(staff, type="jsonl") == ""


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [("csv", "text/csv; charset=utf-8"), ("jsonl", "application/jsonl; charset=utf-8")],
)
def test_it_is_a_file_with_a_name(client: Client, people: list[Any], staff: Any, kind: str, content_type: str) -> None:
    client.force_login(staff)
    for accept in ("*/*", "text/csv", "application/json", "text/html"):
        response = client.get(EXPORT, {"type": kind}, headers={"accept": accept})
        assert response.headers["Content-Type"] == content_type
        name = f"progress-course-v1-Org-Course-Run.{kind}"
        assert response.headers["Content-Disposition"] == f'attachment; filename="{name}"'


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"type": ""},
        {"type": "xlsx"},
        {"type": "csv,jsonl"},
        {"type": "csv", "requested_fields": "html"},
        {"type": "csv", "ordering": "age"},
        {"type": "csv", "percent_min": "2"},
        {"type": "csv", "include_optional": "maybe"},
        {"type": "csv", "user_ids": "abc"},
    ],
)
def test_bad_input_is_refused(people: list[Any], staff: Any, query: dict[str, str]) -> None:
    ask(staff, EXPORT, query, status=400)


def test_it_is_for_the_staff_of_the_course(people: list[Any], staff: Any) -> None:
    query = {"type": "csv"}
    ask(None, EXPORT, query, status=401)
    ask(people[0], EXPORT, query, status=403)
    ask(people[0], EXPORT, {"type": "nonsense"}, status=403)
    ask(RoleFactory(course_id=OTHER_KEY).user, EXPORT, query, status=403)
    assert len(rows(RoleFactory().user)) == len(rows(staff)) == 3
    ask(staff, f"{ROOT}export/nonsense/", query, status=404)
    ask(staff, EXPORT, query, body={}, status=405)


def test_a_course_is_read_batch_by_batch(
    client: Client, people: list[Any], staff: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.force_login(staff)
    whole = fetch(staff, requested_fields="chapter")
    monkeypatch.setattr(exports, "_BATCH_SIZE", 1)

    response = client.get(EXPORT, {"type": "csv", "requested_fields": "chapter"})
    parts, counts = [], []
    stream = iter(response.streaming_content)
    parts += [next(stream), next(stream)]
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            parts.append(next(stream))
        counts.append(len(captured))
    assert list(stream) == []
    assert b"".join(parts).decode() == whole
    assert counts == [counts[0]] * 2
    assert counts[0] <= 9


def test_wide_courses_are_read_in_smaller_batches(
    people: list[Any], staff: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fetch(staff, requested_fields="vertical")
    monkeypatch.setattr(exports, "_MAX_BLOCKS", 5)

    export = exports.Export(course_key=COURSE_KEY, type=exports.ExportType.CSV, fields=["vertical"])
    batches = list(export.batches())
    assert [len(batch) for batch in batches] == [1, 1, 1]
    assert export.head + "".join(map(export.text, batches)) == whole


def test_an_error_before_the_first_line_is_an_answer(client: Client, people: list[Any], staff: Any) -> None:
    client.force_login(staff)
    checked(client.get(EXPORT, {"type": "csv", "cohorts": "x"}), 400)
