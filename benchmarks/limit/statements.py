"""The statements of the limit, for each database."""

# ruff: noqa: S608 - no value comes from outside

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from completion.models import BlockCompletion
from django.db import connection

from benchmarks.seed import COURSE_KEY_COLUMN
from completion_aggregator.models import BlockAggregate, Course, CourseAggregate
from sample_lms.models import CourseAccessRole, Enrollment

FIELDS = ("user_id", "block_id", "earned", "possible", "optional_earned", "optional_possible", "last_modified")
_BLOCKS = BlockAggregate._meta.db_table
_KEY = ("user_id", "block_id")
Row = tuple[Any, ...]


def _moment(column: str) -> str:
    """A moment as text: the drivers take longer to parse moments than for all the rest."""
    return {"mysql": f"CAST({column} AS CHAR)", "postgresql": f"{column}::text"}.get(
        connection.vendor, f"CAST({column} AS TEXT)"
    )


def read_completions() -> str:
    """Takes a course key, the first and the last user id."""
    return (
        f"SELECT user_id, block_key, completion, {_moment('modified')} FROM {BlockCompletion._meta.db_table}"
        f" WHERE {COURSE_KEY_COLUMN} = %s AND user_id BETWEEN %s AND %s"
    )


def read_stored() -> str:
    """Takes the first and the last user id, the first and the last block id."""
    return (
        f"SELECT {', '.join(FIELDS[:-1])}, {_moment(FIELDS[-1])} FROM {_BLOCKS}"
        " WHERE user_id BETWEEN %s AND %s AND block_id BETWEEN %s AND %s ORDER BY user_id, block_id"
    )


def upsert() -> str:
    """Takes the moment of writing and what `document` returns."""
    types = [BlockAggregate._meta.get_field(name).db_type(connection) for name in FIELDS]
    insert = f"INSERT INTO {_BLOCKS} (modified, {', '.join(FIELDS)})"
    changed = [name for name in (*FIELDS, "modified") if name not in _KEY]
    if connection.vendor == "mysql":
        columns = ", ".join(
            f"{name} {kind} PATH '$[{place}]'" for place, (name, kind) in enumerate(zip(FIELDS, types, strict=True))
        )
        return (
            f"{insert} SELECT %s, {', '.join(FIELDS)} FROM JSON_TABLE(%s, '$[*]' COLUMNS ({columns})) AS document"
            f" ON DUPLICATE KEY UPDATE {', '.join(f'{name} = VALUES({name})' for name in changed)}"
        )
    conflict = (
        f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET {', '.join(f'{name} = EXCLUDED.{name}' for name in changed)}"
    )
    if connection.vendor == "postgresql":
        arrays = ", ".join(f"%s::{kind}[]" for kind in types)
        return f"{insert} SELECT %s::timestamptz, document.* FROM unnest({arrays}) AS document {conflict}"
    return f"{insert} VALUES (?, {', '.join('?' for _ in FIELDS)}) {conflict}"


def document(rows: Sequence[Row]) -> list[Any]:
    """Pack rows into what `upsert` takes in one go."""
    if connection.vendor == "mysql":
        return [json.dumps(rows, separators=(",", ":"))]
    if connection.vendor == "postgresql":
        return [f"{{{','.join('NULL' if value is None else str(value) for value in column)}}}" for column in zip(*rows)]  # noqa: B905
    return list(rows)


def read_stats(*, without_staff: bool) -> str:
    """Takes a course key three times, or four times."""
    roles = f"SELECT user_id FROM {CourseAccessRole._meta.db_table} WHERE role = 'staff' AND course_id = %s"
    return (
        "SELECT COUNT(*), COUNT(a.computed_at), SUM(a.earned), SUM(a.possible)"
        f" FROM {Enrollment._meta.db_table} e LEFT JOIN {CourseAggregate._meta.db_table} a ON a.user_id = e.user_id"
        f" AND a.course_id = (SELECT id FROM {Course._meta.db_table} WHERE course_key = %s)"
        f" WHERE e.course_id = %s AND e.is_active{f' AND e.user_id NOT IN ({roles})' if without_staff else ''}"
    )
