"""A whole course as CSV or as lines of JSON, some learners at a time: what the REST API and the command hand out."""

from __future__ import annotations

import enum
import io
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from defusedcsv import csv
from opaque_keys.edx.keys import CourseKey
from rest_framework.utils.encoders import JSONEncoder

from completion_aggregator.compat import get_lms
from completion_aggregator.engine import Tally
from completion_aggregator.selectors import LearnerFilter, get_course_means
from completion_aggregator.selectors.completions import iter_course_completions
from completion_aggregator.selectors.roster import RosterRow, get_learner_id_page, get_roster_rows
from completion_aggregator.selectors.structure import get_block_names
from completion_aggregator.serializers import CourseCompletionSerializer

#: What may be requested besides the block types.
EXPORT_FIELDS = frozenset({"as_of", "mean", "names", "username"})
#: How many learners are read at once, and how many of their blocks: what is held in memory does not grow with the
#: course.
_BATCH_SIZE = 1_000
_MAX_BLOCKS = 100_000


class ExportType(enum.StrEnum):
    """The format of an export."""

    CSV = "csv"
    JSONL = "jsonl"


#: One learner in a result, as the REST API tells it.
Result = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Export:
    """How far the learners of a course have come, as it is stored, one line each.

    Cost: for each batch the queries of a page of the course-wide answer. A walk, as in `get_roster_page`: whoever is in
    the course all the time is told once.
    """

    course_key: CourseKey
    type: ExportType
    filters: LearnerFilter = field(default_factory=LearnerFilter)
    ordering: str = "user_id"
    #: Of EXPORT_FIELDS, and block types.
    fields: Collection[str] = ()
    include_optional: bool = False

    @property
    def head(self) -> str:
        """The names of the columns; JSON needs none."""
        return "" if self.type == ExportType.JSONL else _csv([self._columns])

    def batches(self) -> Iterator[list[Result]]:
        """Read the learners, as a page of the REST API tells them, with `last_activity` and `completed_at`."""
        size = max(1, min(_BATCH_SIZE, _MAX_BLOCKS // (len(self._blocks) + 1)))
        cursor = None
        while True:
            page = get_learner_id_page(self.course_key, self.filters, ordering=self.ordering, cursor=cursor, size=size)
            if page.user_ids:
                yield self._read(page.user_ids)
            if (cursor := page.next) is None:
                return

    def text(self, batch: Sequence[Result]) -> str:
        """Return the lines of some learners."""
        if self.type == ExportType.JSONL:
            return "".join(f"{json.dumps(each, cls=JSONEncoder, ensure_ascii=False)}\n" for each in batch)
        return _csv(self._cells(each) for each in batch)

    @cached_property
    def _blocks(self) -> dict[str, str]:
        """Name of each block that has a column, by key, in course order."""
        types = self._block_types
        return get_block_names(self.course_key, types) if types else {}

    @property
    def _block_types(self) -> list[str]:
        return [name for name in self.fields if name not in EXPORT_FIELDS]

    def _read(self, user_ids: Sequence[int]) -> list[Result]:
        rows = get_roster_rows(self.course_key, user_ids)
        completions = iter_course_completions(
            self.course_key, [row.learner for row in rows], block_types=self._block_types, with_dates=False
        )
        names = get_lms().learner_names(user_ids) if "names" in self.fields else {}
        results: list[Result] = CourseCompletionSerializer(
            completions,
            many=True,
            requested_fields={*self.fields, "username"},
            include_optional=self.include_optional,
            means=get_course_means([self.course_key]) if "mean" in self.fields else None,
            details={row.learner.user_id: self._details(row, names) for row in rows},
            display_names=self._blocks if "names" in self.fields else None,
        ).data
        return results

    def _details(self, row: RosterRow, names: dict[int, str]) -> Result:
        details: Result = {
            "user_id": row.learner.user_id,
            "last_activity": row.tally.last_modified,
            "completed_at": row.completed_at,
        }
        if "names" in self.fields:
            details["name"] = names.get(row.learner.user_id, "")
        if "as_of" in self.fields:
            details["as_of"] = {"computed_at": row.computed_at, "is_stale": row.is_stale}
        return details

    @cached_property
    def _columns(self) -> list[str]:
        columns = ["user_id", "username"]
        if "names" in self.fields:
            columns.append("name")
        columns += Tally._fields[:2]
        columns.append("percent")
        if self.include_optional:
            columns += ["optional_earned", "optional_possible", "optional_percent"]
        columns += ["last_activity", "completed_at"]
        if "as_of" in self.fields:
            columns += ["computed_at", "is_stale"]
        if "mean" in self.fields:
            columns.append("mean")
        return columns + [self._title(key, name) for key, name in self._blocks.items()]

    def _title(self, key: str, name: str) -> str:
        return f"{name.strip()} ({key})" if "names" in self.fields else key

    def _cells(self, result: Result) -> list[Any]:
        optional = result.get("optional_completion", {})
        values = result | result["completion"] | result.get("as_of", {})
        values |= {f"optional_{name}": value for name, value in optional.items()}
        percents = {
            block["block_key"]: block["completion"]["percent"] for name in self._block_types for block in result[name]
        }
        own = self._columns[: len(self._columns) - len(self._blocks)]
        return [_cell(values[name]) for name in own] + [percents.get(key, "") for key in self._blocks]


def _cell(value: Any) -> Any:
    """Return what a spreadsheet reads."""
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return value.isoformat(timespec="seconds")
    # A blank in front would hide from the writer that a formula follows.
    return value.strip() if isinstance(value, str) else value


def _csv(rows: Any) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
