"""From completions to the fields of the JSON answers. No serializer runs a query."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from django.contrib.auth.models import AbstractBaseUser
from django.utils.translation import gettext as _
from opaque_keys.edx.keys import CourseKey, UsageKey
from rest_framework import serializers

from completion_aggregator.conf import conf
from completion_aggregator.engine import Tally, percent
from completion_aggregator.models import Aggregator
from completion_aggregator.selectors import (
    CohortSummary,
    CourseCompletion,
    CourseStats,
    CourseSummary,
    ExplainedBlock,
    Explanation,
    Learner,
    PairCompletion,
    SectionFunnel,
    get_course_completion,
)
from completion_aggregator.selectors.explain import Stored

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


class SectionFunnelSerializer(serializers.Serializer[SectionFunnel]):
    """How many learners have come to a section, and through it."""

    block_key = serializers.CharField()
    display_name = serializers.CharField()
    started = serializers.IntegerField()
    finished = serializers.IntegerField()
    learners = serializers.IntegerField()


class CohortSummarySerializer(serializers.Serializer[CohortSummary]):
    """How far a cohort has come; with the id null: those who are in none."""

    cohort_id = serializers.IntegerField(allow_null=True)
    name = serializers.CharField()
    enrolled = serializers.IntegerField()
    mean = serializers.FloatField()


class CourseSummarySerializer(serializers.Serializer[CourseSummary]):
    """How far a class has come; see `selectors.CourseSummary`."""

    course_key = serializers.CharField()
    display_name = serializers.CharField()
    enrolled = serializers.IntegerField()
    not_started = serializers.IntegerField()
    in_progress = serializers.IntegerField()
    completed = serializers.IntegerField()
    never_aggregated = serializers.IntegerField()
    mean = serializers.FloatField()
    median = serializers.FloatField()
    histogram = serializers.ListField(child=serializers.IntegerField())
    sections = SectionFunnelSerializer(many=True)
    cohorts = CohortSummarySerializer(many=True)
    stale = serializers.IntegerField()
    at_risk = serializers.IntegerField()
    computed_at = serializers.DateTimeField()


def pair_fields(pair: PairCompletion, *, include_optional: bool) -> dict[str, Any]:
    """Return the fields of one learner in one course; a function, because an answer has a hundred thousand."""
    (user_id, username), course_key, (earned, possible, optional_earned, optional_possible, _), is_stale = pair
    fields = {
        "user_id": user_id,
        "username": username,
        "course_key": course_key,
        "completion": _completion(earned, possible),
        "is_stale": is_stale,
    }
    if include_optional:
        fields["optional_completion"] = _completion(optional_earned, optional_possible)
    return fields


class ExplanationSerializer(serializers.BaseSerializer[Explanation]):
    """Why one learner has come as far as that.

    Args:
        for_staff: tell what an aggregation has failed over, and the names of blocks that the learner does not see.
    """

    def __init__(self, *args: Any, for_staff: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.for_staff = for_staff

    def to_representation(self, instance: Explanation) -> dict[str, Any]:
        markers: dict[str, Any] = {"open": instance.markers.number, "oldest": instance.markers.oldest}
        if self.for_staff:
            markers["last_error"] = instance.markers.last_error
        return {
            "course_key": str(instance.course_key),
            "username": instance.learner.username,
            **_sums(instance.tally),
            "formula": _formula(instance.tally),
            "parts": [
                {"block_key": part.block_key, "display_name": part.display_name, "share": part.share}
                | _sums(part.tally)
                for part in instance.parts
            ],
            "stored": _stored(instance.stored),
            "is_stale": instance.is_stale,
            "markers": markers,
            "uncounted_completions": [each._asdict() for each in instance.uncounted_completions],
            "root": _explained_block(instance.root, self.for_staff),
        }


def _sums(tally: Tally | None) -> dict[str, Any]:
    """Return both completions; null: there is none to tell."""
    if tally is None:
        return {"completion": None, "optional_completion": None}
    return {
        "completion": _completion(tally.earned, tally.possible),
        "optional_completion": _completion(tally.optional_earned, tally.optional_possible),
    }


def _stored(stored: Stored | None) -> dict[str, Any] | None:
    return None if stored is None else {"computed_at": stored.computed_at, **_sums(stored.tally)}


def _formula(tally: Tally) -> str:
    if not tally.possible:
        return _("Nothing counts here: there is nothing to do, and that is 100 %.")
    return _(
        "{earned} of {possible} = {percent} %. Each block that counts adds its completion, from 0 to 1, to what is "
        "earned, and 1 to what is possible."
    ).format(earned=f"{tally.earned:.12g}", possible=tally.possible, percent=f"{100 * tally.percent:.4g}")


def _explained_block(block: ExplainedBlock, for_staff: bool) -> dict[str, Any]:
    return {
        "block_key": block.block_key,
        "block_type": block.block_type,
        # It may give away what is to come, or what is for others.
        "display_name": block.display_name if for_staff or block.standing.is_shown else None,
        "counted": block.counted,
        "reason": block.standing.reason,
        "release_date": block.standing.release_date,
        "repeated": block.repeated,
        "value": block.value,
        "modified": block.modified,
        **_sums(block.tally),
        "children": [_explained_block(child, for_staff) for child in block.children],
    }
