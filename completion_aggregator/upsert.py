"""The one upsert: a chunk of rows as one document, in one statement, on every database.

All SQL that differs between databases for it is here. MySQL and MariaDB unpack a JSON document, PostgreSQL
unpacks arrays, SQLite takes row after row in one call. Measured against Django's bulk_create with
update_conflicts in docs/decisions/0004-one-upsert.rst.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

#: One document must fit into max_allowed_packet (16 MB by default): about 100 bytes a row.
MAX_ROWS = 50_000


def upsert(model: type[models.Model], fields: Sequence[str], rows: Sequence[Sequence[Any]], *, using: str) -> None:
    """Insert rows, or update them where the primary key is there already; all in the caller's transaction.

    Args:
        model: one with a composite primary key, which must be among the fields.
        fields: attribute names (`user_id`, not `user`), in the order of the values of a row.
        rows: sorted by primary key, so that two writers never wait for each other crosswise; each key once.
    Cost: one statement per MAX_ROWS rows.
    """
    connection = connections[using]
    columns = [model._meta.get_field(field) for field in fields]
    build = {"mysql": _mysql, "postgresql": _postgresql}.get(connection.vendor)
    with connection.cursor() as cursor:
        for start in range(0, len(rows), MAX_ROWS):
            chunk = rows[start : start + MAX_ROWS]
            if build is None:
                cursor.executemany(_sqlite(connection, model, columns), [_adapt(connection, row) for row in chunk])
            else:
                cursor.execute(*build(connection, model, columns, chunk))


def _names(connection: BaseDatabaseWrapper, model: type[models.Model], columns: Sequence[Any]) -> tuple[str, str, str]:
    """Return the quoted names of the table, of all columns and of those of the primary key."""
    quote = connection.ops.quote_name
    return (
        quote(model._meta.db_table),
        ", ".join(quote(field.column) for field in columns),
        ", ".join(quote(str(field.column)) for field in model._meta.pk_fields),
    )


def _values(connection: BaseDatabaseWrapper, model: type[models.Model], columns: Sequence[Any], new: str) -> str:
    """Return the assignments of a conflict; `new` is how the database calls the row that could not be inserted."""
    key = {field.column for field in model._meta.pk_fields}
    quoted = [connection.ops.quote_name(field.column) for field in columns if field.column not in key]
    return ", ".join(f"{column} = {new.format(column)}" for column in quoted)


def _mysql(
    connection: BaseDatabaseWrapper, model: type[models.Model], columns: Sequence[Any], rows: Sequence[Sequence[Any]]
) -> tuple[str, list[Any]]:
    table, names, _ = _names(connection, model, columns)
    unpacked = ", ".join(
        f"{connection.ops.quote_name(field.column)} {field.db_type(connection)} PATH '$[{place}]'"
        for place, field in enumerate(columns)
    )
    # The only values that JSON does not know are moments; Django's own way to write one takes six times as long.
    zone = connection.timezone
    document = json.dumps(rows, default=lambda moment: _moment(moment, zone), separators=(",", ":"))
    statement = (
        f"INSERT INTO {table} ({names}) SELECT {names}"
        f" FROM JSON_TABLE(%s, '$[*]' COLUMNS ({unpacked})) AS document"
        f" ON DUPLICATE KEY UPDATE {_values(connection, model, columns, 'VALUES({})')}"
    )
    return statement, [document]


def _moment(moment: datetime, zone: tzinfo | None) -> str:
    """Write a moment as MySQL reads it; `zone` is that of the connection, None: as it is."""
    local = moment if zone is None else moment.astimezone(zone)
    return local.isoformat(" ", "microseconds")[:26]


def _postgresql(
    connection: BaseDatabaseWrapper, model: type[models.Model], columns: Sequence[Any], rows: Sequence[Sequence[Any]]
) -> tuple[str, list[Any]]:
    table, names, key = _names(connection, model, columns)
    arrays = ", ".join(f"%s::{field.db_type(connection)}[]" for field in columns)
    statement = (
        f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays})"
        f" ON CONFLICT ({key}) DO UPDATE SET {_values(connection, model, columns, 'EXCLUDED.{}')}"
    )
    return statement, [list(column) for column in zip(*rows, strict=True)]


def _sqlite(connection: BaseDatabaseWrapper, model: type[models.Model], columns: Sequence[Any]) -> str:
    table, names, key = _names(connection, model, columns)
    places = ", ".join(["%s"] * len(columns))
    return (
        f"INSERT INTO {table} ({names}) VALUES ({places})"
        f" ON CONFLICT ({key}) DO UPDATE SET {_values(connection, model, columns, 'excluded.{}')}"
    )


def _adapt(connection: BaseDatabaseWrapper, row: Sequence[Any]) -> list[Any]:
    return [connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value for value in row]
