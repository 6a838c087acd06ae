"""The SQL that Django cannot write, all of it: one upsert, one INSERT … SELECT, one DELETE, and moments as text.

A chunk of rows travels as one document, in one statement. MySQL and MariaDB unpack a JSON document, PostgreSQL
unpacks arrays, SQLite takes row after row in one call. Measured against Django's bulk_create with
update_conflicts in docs/decisions/0004-one-upsert.rst.

Moments travel as text, both ways: turning a million of them into datetimes costs more than all else that is done
with them. A text sorts as its moment does, and is the same for the same moment.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from django.conf import settings
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Func
from django.db.models.functions import Cast

#: One document must fit into max_allowed_packet (16 MB by default): about 100 bytes a row.
MAX_ROWS = 50_000
#: MariaDB keeps what a subquery gives by the values that it depends on, and takes A for a where their columns do.
#: To MySQL, which does not, it is a comment.
_EXACT = "/*M! SET STATEMENT optimizer_switch='subquery_cache=off' FOR */ "


class MomentText(Cast):
    """A moment as the text that the database writes for it; see `read_moment`."""

    def __init__(self, expression: Any) -> None:
        super().__init__(expression, output_field=models.CharField())

    def as_mysql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        # Tables of old sites hold whole seconds only; ours do not, and texts must compare.
        return self.as_sql(compiler, connection, template="CAST(CAST(%(expressions)s AS DATETIME(6)) AS CHAR)", **extra)

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        # In the zone of the connection, texts around a change to winter time would not sort.
        template = (
            "(((%(expressions)s AT TIME ZONE 'UTC')::text) || '+00')" if settings.USE_TZ else "%(expressions)s::text"
        )
        return self.as_sql(compiler, connection, template=template, **extra)


class KeyText(Func):
    """A key in a column of any character set and collation, as our columns hold it: letter case counts."""

    template = "%(expressions)s"
    output_field = models.CharField()

    def as_mysql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = "CONVERT(%(expressions)s USING utf8mb4) COLLATE utf8mb4_bin"
        return self.as_sql(compiler, connection, template=template, **extra)


def drop_tables(names: Iterable[str], *, using: str) -> None:
    """Drop those of the tables that there are."""
    connection = connections[using]
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"DROP TABLE IF EXISTS {connection.ops.quote_name(name)}")


def read_moment(text: str, *, using: str) -> datetime:
    """Turn what `MomentText` gave into what Django gives for the same column."""
    moment = datetime.fromisoformat(text)
    if settings.USE_TZ and moment.tzinfo is None:
        return moment.replace(tzinfo=connections[using].timezone)
    return moment


def insert_select(
    model: type[models.Model],
    fields: Sequence[str],
    rows: models.QuerySet[Any],
    *,
    using: str,
    ignore_conflicts: bool = False,
    exact: bool = False,
) -> int:
    """Insert what a query selects, in one statement; return the number of rows that were inserted.

    Args:
        fields: attribute names, in the order of the columns that `rows` selects.
        ignore_conflicts: leave rows as they are that are there already; `rows` must have a condition then.
        exact: `rows` has subqueries that depend on texts whose column does not regard letter case; they shall.
    """
    connection, columns = connections[using], _columns(model, fields)
    sql, parameters = rows.query.get_compiler(using).as_sql()
    ending = _leave(connection, model, columns[0]) if ignore_conflicts else ""
    beginning = _EXACT if exact and connection.vendor == "mysql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"{beginning}{_insert(connection, model, columns)} {sql}{ending}", parameters)
        return int(cursor.rowcount)


def delete(model: type[models.Model], ids: Sequence[int], *, using: str) -> None:
    """Delete rows by id.

    Left to itself, MySQL goes through all of a small table, and waits for rows that others have just written.

    Cost: one statement.
    """
    if connections[using].vendor != "mysql":
        model._default_manager.using(using).filter(pk__in=ids).delete()
        return
    table = connections[using].ops.quote_name(model._meta.db_table)
    statement = (
        "DELETE doomed FROM JSON_TABLE(%s, '$[*]' COLUMNS (id bigint PATH '$')) AS document"
        f" STRAIGHT_JOIN {table} AS doomed ON doomed.id = document.id"
    )
    with connections[using].cursor() as cursor:
        cursor.execute(statement, [json.dumps(list(ids))])


def upsert(
    model: type[models.Model],
    fields: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    using: str,
    same: Mapping[str, Any] | None = None,
) -> None:
    """Insert rows, or update them where the primary key is there already; all in the caller's transaction.

    Args:
        model: one with a composite primary key.
        fields: attribute names (`user_id`, not `user`), in the order of the values of a row; those of the primary
            key must be among them or in `same`. Moments may be texts as `MomentText` gives them.
        rows: sorted by primary key, so that two writers never wait for each other crosswise; each key once.
        same: by attribute name, what has the same value in every row.
    Cost: one statement per MAX_ROWS rows.
    """
    connection = connections[using]
    same = same or {}
    columns, constants = _columns(model, fields), _columns(model, same)
    build = {"mysql": _mysql, "postgresql": _postgresql}.get(connection.vendor)
    statement = (build or _sqlite)(connection, model, columns, constants)
    values = [field.get_db_prep_value(same[field.attname], connection) for field in constants]
    with connection.cursor() as cursor:
        for start in range(0, len(rows), MAX_ROWS):
            chunk = rows[start : start + MAX_ROWS]
            if build is None:
                cursor.executemany(statement, [[*_adapt(connection, row), *values] for row in chunk])
            else:
                cursor.execute(statement, [*values, *_document(connection, chunk)])


def _columns(model: type[models.Model], fields: Iterable[str]) -> list[Any]:
    return [model._meta.get_field(field) for field in fields]


def _insert(connection: BaseDatabaseWrapper, model: type[models.Model], columns: Sequence[Any]) -> str:
    quote = connection.ops.quote_name
    return f"INSERT INTO {quote(model._meta.db_table)} ({', '.join(quote(field.column) for field in columns)})"


def _leave(connection: BaseDatabaseWrapper, model: type[models.Model], column: Any) -> str:
    """Return what has a conflict change nothing. INSERT IGNORE would pass over values that do not fit, too."""
    if connection.vendor != "mysql":
        return " ON CONFLICT DO NOTHING"
    same = f"{connection.ops.quote_name(model._meta.db_table)}.{connection.ops.quote_name(column.column)}"
    return f" ON DUPLICATE KEY UPDATE {same} = {same}"


def _on_conflict(connection: BaseDatabaseWrapper, model: type[models.Model], columns: Sequence[Any], new: str) -> str:
    """Return the assignments of a conflict; `new` is how the database calls the row that could not be inserted."""
    keys = {field.column for field in model._meta.pk_fields}
    quoted = [connection.ops.quote_name(field.column) for field in columns if field.column not in keys]
    return ", ".join(f"{column} = {new.format(column)}" for column in quoted)


def _mysql(
    connection: BaseDatabaseWrapper, model: type[models.Model], columns: Sequence[Any], constants: Sequence[Any]
) -> str:
    quote = connection.ops.quote_name
    unpacked = ", ".join(
        f"{quote(field.column)} {field.db_type(connection)} PATH '$[{place}]'" for place, field in enumerate(columns)
    )
    selected = ", ".join([*(quote(field.column) for field in columns), *("%s" for _ in constants)])
    return (
        f"{_insert(connection, model, [*columns, *constants])} SELECT {selected}"
        f" FROM JSON_TABLE(%s, '$[*]' COLUMNS ({unpacked})) AS document"
        f" ON DUPLICATE KEY UPDATE {_on_conflict(connection, model, [*columns, *constants], 'VALUES({})')}"
    )


def _postgresql(
    connection: BaseDatabaseWrapper, model: type[models.Model], columns: Sequence[Any], constants: Sequence[Any]
) -> str:
    keys = ", ".join(connection.ops.quote_name(str(field.column)) for field in model._meta.pk_fields)
    arrays = ", ".join(f"%s::{field.db_type(connection)}[]" for field in columns)
    selected = ", ".join(["document.*", *(f"%s::{field.db_type(connection)}" for field in constants)])
    return (
        f"{_insert(connection, model, [*columns, *constants])} SELECT {selected} FROM unnest({arrays}) AS document"
        f" ON CONFLICT ({keys}) DO UPDATE SET {_on_conflict(connection, model, [*columns, *constants], 'EXCLUDED.{}')}"
    )


def _sqlite(
    connection: BaseDatabaseWrapper, model: type[models.Model], columns: Sequence[Any], constants: Sequence[Any]
) -> str:
    keys = ", ".join(connection.ops.quote_name(str(field.column)) for field in model._meta.pk_fields)
    everything = [*columns, *constants]
    return (
        f"{_insert(connection, model, everything)} VALUES ({', '.join(['%s'] * len(everything))})"
        f" ON CONFLICT ({keys}) DO UPDATE SET {_on_conflict(connection, model, everything, 'excluded.{}')}"
    )


def _document(connection: BaseDatabaseWrapper, rows: Sequence[Sequence[Any]]) -> list[Any]:
    """Pack rows into what the statement takes: one JSON text, or an array for each column."""
    if connection.vendor == "postgresql":
        return [list(column) for column in zip(*rows, strict=True)]
    # The only values that JSON does not know are moments; Django's own way to write one takes six times as long.
    zone = connection.timezone
    return [json.dumps(rows, default=lambda moment: _moment(moment, zone), separators=(",", ":"))]


def _moment(moment: datetime, zone: tzinfo | None) -> str:
    """Write a moment as MySQL reads it; `zone` is that of the connection, None: as it is."""
    local = moment if zone is None else moment.astimezone(zone)
    return local.isoformat(" ", "microseconds")[:26]


def _adapt(connection: BaseDatabaseWrapper, row: Sequence[Any]) -> list[Any]:
    return [connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value for value in row]
