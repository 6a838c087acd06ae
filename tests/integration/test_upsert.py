"""The one upsert, on whatever database the tests run on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from completion_aggregator import upsert as upserts
from completion_aggregator.models import BlockAggregate
from completion_aggregator.upsert import MomentText, read_moment, upsert

pytestmark = pytest.mark.django_db

FIELDS = (
    "user_id",
    "block_id",
    "earned",
    "possible",
    "optional_earned",
    "optional_possible",
    "last_modified",
    "modified",
)
NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
PRECISE = datetime(2038, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
LARGE = 2**31 - 1


def row(user_id: int, block_id: int, earned: float = 0.0, last_modified: datetime | None = None) -> tuple[Any, ...]:
    return user_id, block_id, earned, 3, 0.5, 1, last_modified, NOON


def stored() -> list[tuple[Any, ...]]:
    return list(BlockAggregate.objects.order_by("user_id", "block_id").values_list(*FIELDS))


def write(*rows: tuple[Any, ...]) -> None:
    upsert(BlockAggregate, FIELDS, rows, using="default")


def test_new_rows_are_inserted() -> None:
    rows = [row(1, 1, 0.1), row(1, 2, 1 / 3, PRECISE), row(2, 1, 1e-300, NOON)]

    write(*rows)

    assert stored() == rows


def test_rows_that_are_there_are_updated_with_every_value() -> None:
    write(row(1, 1), row(1, 2))
    changed = (1, 2, 2.5, 4, 1.5, 2, PRECISE, PRECISE)

    write(changed)

    assert stored() == [row(1, 1), changed]


def test_new_and_old_rows_go_together() -> None:
    write(row(1, 2, 1.0), row(3, 1, 1.0))
    rows = [row(1, 1, 0.5), row(1, 2, 2.0), row(2, 2, 0.25), row(3, 1, 3.0, PRECISE)]

    write(*rows)

    assert stored() == rows


def test_a_moment_becomes_null_again() -> None:
    write(row(1, 1, 1.0, NOON))
    write(row(1, 1, 1.0, None))

    assert stored() == [row(1, 1, 1.0, None)]


def test_a_column_may_be_null_in_every_row() -> None:
    rows = [row(user_id, 1) for user_id in range(1, 5)]

    write(*rows)

    assert stored() == rows


def test_large_ids_and_numbers_fit() -> None:
    large = (LARGE, 2**32 + 5, 1e15 + 0.5, LARGE, 1e300, LARGE, NOON, NOON)

    write(large)

    assert stored() == [large]


def test_no_rows_take_no_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        write()


def test_a_thousand_rows_take_one_statement() -> None:
    rows = [row(user_id, block_id) for user_id in range(1, 11) for block_id in range(1, 101)]
    write(*rows[::2])

    with CaptureQueriesContext(connection) as queries:
        write(*rows)

    assert (len(queries), stored()) == (1, rows)


def test_more_rows_than_one_document_holds_take_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upserts, "MAX_ROWS", 2)
    rows = [row(1, block_id) for block_id in range(1, 6)]

    with CaptureQueriesContext(connection) as queries:
        write(*rows)

    assert (len(queries), stored()) == (3, rows)


def test_what_is_the_same_in_every_row_is_given_once() -> None:
    write(row(1, 1))
    rows = [row(1, 1, 1.0)[:-1], row(1, 2, 2.0, NOON)[:-1]]

    upsert(BlockAggregate, FIELDS[:-1], rows, using="default", same={"modified": PRECISE})

    assert stored() == [(*each, PRECISE) for each in rows]


def test_even_a_part_of_the_key_may_be_the_same_in_every_row() -> None:
    rows = [row(7, block_id)[1:-1] for block_id in (1, 2)]

    upsert(BlockAggregate, FIELDS[1:-1], rows, using="default", same={"user_id": 7, "modified": NOON})

    assert stored() == [row(7, 1), row(7, 2)]


MOMENTS = [
    datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    datetime(2026, 1, 2, 3, 4, 5, 1, tzinfo=UTC),
    datetime(2026, 1, 2, 3, 4, 5, 100_000, tzinfo=UTC),
    datetime(2026, 1, 2, 3, 4, 5, 120_000, tzinfo=UTC),
    datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC),
    PRECISE,
]


def texts() -> list[str]:
    return list(BlockAggregate.objects.order_by("block_id").values_list(MomentText("last_modified"), flat=True))


def test_moments_as_text_sort_by_time_and_are_read_back() -> None:
    write(*(row(1, block_id, 0.0, moment) for block_id, moment in enumerate(MOMENTS)))

    assert texts() == sorted(texts())
    assert [read_moment(text, using="default") for text in texts()] == MOMENTS


def test_no_moment_is_no_text() -> None:
    write(row(1, 1))

    assert texts() == [None]


def test_moments_are_written_as_the_text_that_was_read() -> None:
    write(*(row(1, block_id, 0.0, moment) for block_id, moment in enumerate(MOMENTS)))
    before = texts()

    rows = [(*row(2, block_id)[:6], text, NOON) for block_id, text in enumerate(before)]
    write(*rows)

    assert list(
        BlockAggregate.objects.filter(user_id=2).order_by("block_id").values_list("last_modified", flat=True)
    ) == (MOMENTS)
    assert texts() == sorted(before * 2)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_any_moment_survives_as_text(moment: datetime) -> None:
    BlockAggregate.objects.all().delete()
    write(row(1, 1, 0.0, moment))

    (text,) = texts()

    assert read_moment(text, using="default") == moment


def test_other_rows_stay_as_they_are() -> None:
    write(row(1, 1, 1.0), row(2, 1, 1.0))
    write(row(1, 2, 1.0))

    assert stored() == [row(1, 1, 1.0), row(1, 2, 1.0), row(2, 1, 1.0)]


@given(
    st.dictionaries(
        st.tuples(st.integers(1, 3), st.integers(1, 3)),
        st.tuples(
            st.floats(0, 1e6, allow_subnormal=False),
            st.none() | st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
        ),
    )
)
def test_what_is_written_is_read_back_exactly(values: dict[tuple[int, int], tuple[float, datetime | None]]) -> None:
    BlockAggregate.objects.all().delete()
    write(row(2, 2, 1.0, NOON))
    rows = [row(*ids, *rest) for ids, rest in sorted(values.items())]

    write(*rows)

    assert stored() == sorted({(2, 2): row(2, 2, 1.0, NOON), **{each[:2]: each for each in rows}}.values())
