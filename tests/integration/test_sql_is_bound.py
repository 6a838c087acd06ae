"""No value is ever written into a statement: all go beside it, as parameters.

That SQL is written in one module alone, tests/integration/test_sql.py holds; everywhere else the ORM writes it.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

from django.core.management import call_command
from django.db import connection
from django.test import Client

from completion_aggregator.models import Course as StoredCourse
from completion_aggregator.services import clean_up
from completion_aggregator.tasks import dispatch
from sample_lms.models import Course
from tests.factories import (
    COURSE_KEY,
    CohortFactory,
    EnrollmentFactory,
    MembershipFactory,
    RoleFactory,
    UserFactory,
    block,
    complete,
    publish_course,
)

ROOT = "/api/completion/"
#: Finds itself again in any statement.
MARK = "qz'\"`;--%s%(x)s"


def test_what_people_write_is_never_part_of_a_statement(staff: Any) -> None:
    statements: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        statements.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        do_everything(staff)

    assert len(statements) > 100
    assert [sql for sql in statements if "qz" in sql] == []
    # Neither is a key, though nobody but an author writes them.
    assert [sql for sql in statements if str(COURSE_KEY) in sql] == []


def do_everything(staff: Any) -> None:
    blocks = [
        block("course/course", "chapter/c1"),
        replace(block("chapter/c1", "html/h1"), display_name=MARK),
        block("html/h1"),
    ]
    publish_course(blocks)
    Course.objects.update(cohorted=True)
    user = EnrollmentFactory(user=UserFactory(username=MARK, first_name=MARK, email=MARK)).user
    MembershipFactory(user=user, cohort=CohortFactory(name=MARK))
    RoleFactory(user=UserFactory(), role=MARK)
    complete(user, "html/h1")
    dispatch()
    client = Client()
    client.force_login(staff)
    names = {"requested_fields": "chapter,mean,names,as_of", "search": MARK, "roles": MARK, "exclude_roles": MARK}
    for ordering in ("user_id", "-username", "percent", "-last_activity"):
        for path in ("course", "export"):
            query = {**names, "ordering": ordering, "cursor": "", "type": "jsonl"}
            assert list(client.get(f"{ROOT}v1/{path}/{COURSE_KEY}/", query))
    for path in ("course", "explain", "stats"):
        client.get(f"{ROOT}v1/{path}/{COURSE_KEY}/", {"username": MARK, "root_block": MARK, "exclude_roles": MARK})
    client.get(f"{ROOT}dashboard/", {"search": MARK})
    client.get(f"{ROOT}dashboard/{COURSE_KEY}/", {"search": MARK, "ordering": "username"})
    body = json.dumps({"username": MARK, "users": [MARK], "course_keys": [str(COURSE_KEY)]})
    for path in ("bulk/", f"refresh/{COURSE_KEY}/"):
        assert client.post(f"{ROOT}v1/{path}", body, content_type="application/json").status_code == 200
    call_command("reaggregate_course", str(COURSE_KEY), stdout=io.StringIO(), stderr=io.StringIO())
    call_command("aggregator_status", stdout=io.StringIO())
    clean_up()
    assert StoredCourse.objects.exists()
