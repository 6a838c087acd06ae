"""What is sent to the database can be read by every server of its kind: on MariaDB, by MySQL too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient
from sqlglot import expressions

import completion_aggregator
from completion_aggregator.models import OldAggregate, OldMarker, Takeover
from completion_aggregator.services import (
    aggregate_chunk,
    aggregate_stale,
    claim_stale_chunks,
    clean_up,
    mark_course,
    mark_never_aggregated,
    retry_failed,
    take_snapshots,
)
from completion_aggregator.services.takeover import take_over_batch
from tests.factories import COURSE_KEY, EnrollmentFactory, UserFactory, block, complete, key, publish_course

DIALECT = {"postgresql": "postgres"}.get(connection.vendor, connection.vendor)
PACKAGE = Path(completion_aggregator.__file__).parent
#: Functions of the databases that the parser takes for somebody's own.
KNOWN = {"values", "unnest"}
#: The statements of upsert.py; on SQLite, Django writes the like of one of them.
OWN = re.compile(
    r"(/\*M!.*?\*/ )?(DELETE doomed|INSERT INTO \S+ \([^)]*\) (SELECT|VALUES \(.* ON CONFLICT ))", re.DOTALL
)
RAW = re.compile(r"\.cursor\(|RawSQL|\.raw\(|\.extra\(")


def everything() -> None:
    """Mark, claim, aggregate what is new, changed, gone and failing, read, and clean up."""
    learners = [EnrollmentFactory().user for _ in range(3)]
    mark_course(COURSE_KEY)
    for chunk in claim_stale_chunks():
        aggregate_chunk(chunk)
    complete(learners[0], "html/h1", "html/h2", value=0.5)
    aggregate_stale()
    publish_course([block("course/course", "html/h1"), block("html/h1")])
    mark_course(COURSE_KEY)
    aggregate_stale()
    retry_failed()
    mark_never_aggregated(COURSE_KEY)
    take_snapshots(timezone.now())
    clean_up()
    call_command("aggregator_status", verbosity=0)
    Takeover.objects.create()
    while take_over_batch():
        pass
    client = APIClient()
    client.force_login(UserFactory(is_staff=True))
    fields = "requested_fields=chapter,vertical,mean"
    paths = (f"course/{COURSE_KEY}/?{fields}", f"stats/{COURSE_KEY}/?exclude_roles=staff", f"course/?{fields}")
    for path in (*paths, f"summary/{COURSE_KEY}/"):
        assert client.get(f"/api/completion/v1/{path}").status_code == 200


@pytest.fixture
def old_tables(transactional_db: None) -> Iterator[None]:
    """Tables of 4.5, with a row each."""
    with connection.schema_editor() as editor:
        editor.create_model(OldAggregate)
        editor.create_model(OldMarker)
    keys = {"course_key": COURSE_KEY, "block_key": key("course/course"), "aggregation_name": "course"}
    values = dict.fromkeys(("earned", "possible", "percent", "optional_earned", "optional_possible"), 1.0)
    now = timezone.now()
    OldAggregate.objects.create(user_id=UserFactory().pk, last_modified=now, modified=now, **keys, **values)
    OldMarker.objects.create(username=UserFactory().username, course_key=COURSE_KEY, resolved=False)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(OldAggregate)
        editor.delete_model(OldMarker)


@pytest.mark.usefixtures("old_tables")
def test_every_statement_is_in_the_dialect_of_the_database() -> None:
    publish_course()
    with CaptureQueriesContext(connection) as queries:
        everything()
    # The parser knows SAVEPOINT, but not how to release one; Django notes an executemany as "3 times: …".
    statements = {re.sub(r"^\d+ times: ", "", query["sql"]).replace("%s", "?") for query in queries.captured_queries}
    trees = [(sql, sqlglot.parse_one(sql, dialect=DIALECT)) for sql in statements if not sql.startswith("RELEASE")]

    own = [(sql, tree) for sql, tree in trees if OWN.match(sql)]
    assert len(own) >= 3
    for sql, tree in own:
        unknown = {str(function.this).lower() for function in tree.find_all(expressions.Anonymous)}
        assert unknown <= KNOWN, sql
        # MariaDB would return the rows that it has inserted; MySQL does not know how.
        assert connection.vendor != "mysql" or tree.find(expressions.Returning) is None, sql


def test_sql_is_written_in_one_module() -> None:
    written: dict[str, list[Any]] = {
        str(path.relative_to(PACKAGE)): found
        for path in PACKAGE.rglob("*.py")
        if "migrations" not in path.parts and (found := RAW.findall(path.read_text()))
    }

    # The doctor asks servers about themselves, and nothing of our tables.
    assert sorted(written) == ["management/doctor.py", "upsert.py"]
