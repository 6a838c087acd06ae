"""From completions to the fields of the JSON answers. No serializer runs a query."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from django.contrib.auth.models import AbstractBaseUser
from opaque_keys.edx.keys import CourseKey, UsageKey
from rest_framework import serializers

from completion_aggregator.conf import conf
from completion_aggregator.engine import Tally, percent
from completion_aggregator.models import Aggregator
from completion_aggregator.selectors import CourseCompletion, CourseStats, Learner, get_course_completion

#: What a client may ask for besides the block types.
EXTRA_FIELDS = frozenset({"username", "mean"})


class BlockCompletion(NamedTuple):
    """One learner's completion of one block of a course."""

    course_key: CourseKey
    block_key: str
    tally: Tally


class AggregatorAdapter:
    """One learner's completion of a course, as attributes: `adapter.percent`, `adapter.chapter`.

    For Python callers that know it from openedx-completion-aggregator; new code asks the selectors. Values are read
    when they are first needed, unless aggregates are given or added.
    """

    def __init__(
        self,
        user: AbstractBaseUser,
        course_key: CourseKey,
        aggregators: Iterable[Aggregator] | None = None,
        root_block: UsageKey | str | None = None,
        recalculate_stale: bool = False,
    ) -> None:
        self.user = user
        self.course_key = course_key
        self.root_block = None if root_block is None else str(root_block)
        self.recalculate_stale = recalculate_stale
        self._given: list[Aggregator] = []
        if aggregators is not None:
            self.update_aggregators(aggregators)

    def add_aggregator(self, aggregator: Aggregator) -> None:
        """Use this row instead of what is stored."""
        self._given.append(aggregator)
        self.__dict__.pop("completion", None)

    def update_aggregators(self, iterable: Iterable[Aggregator]) -> None:
        for aggregator in iterable:
            self.add_aggregator(aggregator)

    @cached_property
    def completion(self) -> CourseCompletion:
        """What the selectors answer, or the rows given. Cost: see `selectors.get_course_completion`."""
        if self._given:
            return self._completion_of_given()
        return get_course_completion(
            self.user,
            self.course_key,
            block_types=conf.BLOCK_TYPES,
            root_block=self.root_block,
            recalculate_stale=self.recalculate_stale,
        )

    def _completion_of_given(self) -> CourseCompletion:
        blocks: dict[str, list[tuple[str, Tally]]] = {block_type: [] for block_type in conf.BLOCK_TYPES}
        root = Tally(0.0, None, 0.0, None)
        for row in self._given:
            tally = Tally(
                row.earned, int(row.possible), row.optional_earned, int(row.optional_possible), row.last_modified
            )
            blocks.setdefault(row.aggregation_name, []).append((str(row.block_key), tally))
            if self.root_block in (str(row.block_key), None) and (self.root_block or row.aggregation_name == "course"):
                root = tally
        learner = Learner(self.user.pk, self.user.get_username())
        return CourseCompletion(course_key=self.course_key, learner=learner, tally=root, blocks=blocks)

    @property
    def course(self) -> Tally:
        return self.completion.tally

    def __getattr__(self, name: str) -> Any:
        if name in Tally._fields or name in ("percent", "optional_percent"):
            return getattr(self.completion.tally, name)
        if name in self.completion.blocks:
            return [BlockCompletion(self.course_key, *block) for block in self.completion.blocks[name]]
        raise AttributeError(f"{type(self).__name__} has no {name!r}; it is no block type that is aggregated.")


def _completion(earned: float, possible: int | None) -> dict[str, float | None]:
    return {
        "earned": earned,
        "possible": None if possible is None else float(possible),
        "percent": percent(earned, possible),
    }


def _block(course_key: str, block_key: str, tally: Tally, include_optional: bool) -> dict[str, Any]:
    earned, possible, optional_earned, optional_possible, _ = tally
    fields = {"course_key": course_key, "block_key": block_key, "completion": _completion(earned, possible)}
    if include_optional:
        fields["optional_completion"] = _completion(optional_earned, optional_possible)
    return fields


class BlockCompletionSerializer(serializers.BaseSerializer[BlockCompletion]):
    """One block of a nested list."""

    def __init__(self, *args: Any, include_optional: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.include_optional = include_optional

    def to_representation(self, instance: BlockCompletion) -> dict[str, Any]:
        return _block(str(instance.course_key), instance.block_key, instance.tally, self.include_optional)


class CourseCompletionSerializer(serializers.BaseSerializer["CourseCompletion | AggregatorAdapter"]):
    """One learner in one course.

    Args:
        requested_fields: what to tell besides `course_key` and `completion`.
        means: by course key; needed for the field `mean`.
        details: by user id: further fields of that learner's result.
        display_names: of blocks, by key; None: nested blocks go without.
    """

    def __init__(
        self,
        *args: Any,
        requested_fields: Collection[str] = (),
        include_optional: bool = False,
        means: Mapping[CourseKey, float] | None = None,
        details: Mapping[int, Mapping[str, Any]] | None = None,
        display_names: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.requested_fields = requested_fields
        self.include_optional = include_optional
        self.means = means or {}
        self.details = details or {}
        self.display_names = display_names

    def to_representation(self, instance: CourseCompletion | AggregatorAdapter) -> dict[str, Any]:
        record = instance.completion if isinstance(instance, AggregatorAdapter) else instance
        course_key, tally = str(record.course_key), record.tally
        fields: dict[str, Any] = {"course_key": course_key, "completion": _completion(tally.earned, tally.possible)}
        if self.include_optional:
            fields["optional_completion"] = _completion(tally.optional_earned, tally.optional_possible)
        if "username" in self.requested_fields:
            fields["username"] = record.learner.username
        if "mean" in self.requested_fields:
            fields["mean"] = self.means[record.course_key]
        fields |= self.details.get(record.learner.user_id, {})
        for block_type, blocks in record.blocks.items():
            if block_type in self.requested_fields:
                # A page holds tens of thousands of them: no object, no key to be written anew for each.
                fields[block_type] = [_block(course_key, *block, self.include_optional) for block in blocks]
                if self.display_names is not None:
                    for block in fields[block_type]:
                        block["display_name"] = self.display_names.get(block["block_key"], "")
        return fields


class CourseCompletionStatsSerializer(serializers.BaseSerializer[CourseStats]):
    """The mean of a course.

    Args:
        filters: what narrowed the learners down; None: nothing did.
        mean: see `selectors.get_course_means`; None: not requested.
    """

    def __init__(
        self,
        *args: Any,
        course_key: CourseKey,
        filters: Mapping[str, Any] | None = None,
        mean: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.course_key = course_key
        self.filters = filters
        self.mean = mean

    def to_representation(self, instance: CourseStats) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "course_key": str(self.course_key),
            "mean_completion": {
                "earned": instance.earned,
                "possible": instance.possible,
                "percent": instance.percent,
            },
        }
        if self.mean is not None:
            fields["mean"] = self.mean
        if self.filters is not None:
            fields["filters"] = self.filters
        return fields
