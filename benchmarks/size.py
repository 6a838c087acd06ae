"""How much room a table takes; both sides import it, each in its own environment."""

from __future__ import annotations

from django.db import connection


def bytes_per_row(table: str) -> float:
    """Return the bytes that a row takes, indexes included, in the table as it was written."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {table}")  # noqa: S608 - a table of ours
        rows: int = cursor.fetchone()[0]
        if connection.vendor == "mysql":
            cursor.execute(f"ANALYZE TABLE {table}")
            cursor.fetchall()
            cursor.execute(
                "SELECT data_length + index_length FROM information_schema.tables"
                " WHERE table_schema = DATABASE() AND table_name = %s",
                [table],
            )
        elif connection.vendor == "postgresql":
            cursor.execute("SELECT pg_total_relation_size(%s)", [table])
        else:
            of_table = "SELECT name FROM sqlite_master WHERE tbl_name = %s"
            cursor.execute(f"SELECT SUM(pgsize) FROM dbstat WHERE name IN ({of_table})", [table])  # noqa: S608
        return float(cursor.fetchone()[0]) / rows
