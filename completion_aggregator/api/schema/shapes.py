"""Shapes of bodies and answers; these serializers describe and do nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from completion_aggregator.api.parameters import MAX_COURSES, MAX_IDS, MAX_USERS
from completion_aggregator.conf import conf
from completion_aggregator.selectors import ORDERINGS, Progress
from completion_aggregator.selectors.explain import Reason
from completion_aggregator.selectors.roster import MAX_DAYS, MAX_SEARCH
from completion_aggregator.serializers import EXTRA_FIELDS, CourseSummarySerializer

BLOCK_TYPES = sorted(conf.BLOCK_TYPES)
FIELDS = [*BLOCK_TYPES, *sorted(EXTRA_FIELDS)]
DETAIL_FIELDS = [*FIELDS, "as_of", "names"]


class Completion(serializers.Serializer[Any]):
    """How much of what counts is done. Unit of earned and possible: blocks."""

    earned = serializers.FloatField(min_value=0)
    possible = serializers.FloatField(
        min_value=0, allow_null=True, help_text="null: the learner was never aggregated, in an answer about everybody"
    )
    percent = serializers.FloatField(min_value=0, max_value=1, help_text="earned / possible; 1.0 when possible is 0")


class BlockCompletion(serializers.Serializer[Any]):
    """One learner's completion of one block."""

    course_key = serializers.CharField()
    block_key = serializers.CharField()
    completion = Completion()
    optional_completion = Completion(required=False, help_text="with include_optional")
    display_name = serializers.CharField(required=False, help_text="when names are requested")


class AsOf(serializers.Serializer[Any]):
    """How fresh the stored values are."""

    computed_at = serializers.DateTimeField(allow_null=True, help_text="null: never yet")
    is_stale = serializers.BooleanField(help_text="something has changed since then")


class CourseCompletion(serializers.Serializer[Any]):
    """One learner's completion of one course, or of the root block."""

    block: type[BlockCompletion] = BlockCompletion
    course_key = serializers.CharField()
    completion = Completion()
    optional_completion = Completion(required=False, help_text="with include_optional")
    username = serializers.CharField(
        required=False, help_text="when requested, and always when the answer is about everybody"
    )
    user_id = serializers.IntegerField(required=False, help_text="when the answer is about everybody")
    name = serializers.CharField(required=False, help_text="when names are requested; empty: not known")
    as_of = AsOf(required=False, help_text="when requested")
    mean = serializers.FloatField(
        min_value=0, max_value=1, required=False, help_text="when requested: mean percent of the course's learners"
    )

    def get_fields(self) -> dict[str, Any]:
        lists = {
            name: self.block(many=True, required=False, help_text="when requested; in course order")
            for name in BLOCK_TYPES
        }
        return {**super().get_fields(), **lists}


class Pagination(serializers.Serializer[Any]):
    """Where the page stands."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(min_value=0, required=False, help_text="of all results; not with cursor")
    num_pages = serializers.IntegerField(min_value=0, required=False, help_text="not with cursor")


class Migration(serializers.Serializer[Any]):
    """How far the rows of openedx-completion-aggregator 4.5 are copied. Unit: rows."""

    copied = serializers.IntegerField(min_value=0)
    total = serializers.IntegerField(min_value=0, allow_null=True, help_text="null: the copy has not begun")


class CourseCompletionPage(serializers.Serializer[Any]):
    """A page of results."""

    pagination = Pagination()
    results = CourseCompletion(many=True)
    migration = Migration(required=False, help_text="in answers about everybody, as long as rows are left to copy")


class MeanCompletion(serializers.Serializer[Any]):
    """Mean over the selected learners. Unit of earned and possible: blocks."""

    earned = serializers.FloatField(min_value=0, help_text="learners who were never aggregated have earned nothing")
    possible = serializers.FloatField(min_value=0, help_text="mean over those who were aggregated")
    percent = serializers.FloatField(min_value=0, max_value=1, help_text="earned / possible; 0.0 when possible is 0")


class StatsFilters(serializers.Serializer[Any]):
    """What was applied."""

    cohorts = serializers.ListField(
        child=serializers.IntegerField(), allow_null=True, help_text="null: none given, or the course is not cohorted"
    )
    exclude_roles = serializers.ListField(child=serializers.CharField())


class CourseStats(serializers.Serializer[Any]):
    """The mean of one course."""

    course_key = serializers.CharField()
    mean_completion = MeanCompletion()
    mean = serializers.FloatField(
        min_value=0, max_value=1, required=False, help_text="when requested: mean percent of the course's learners"
    )
    filters = StatsFilters(required=False, help_text="when there were any")


class CourseStatsAnswer(serializers.Serializer[Any]):
    """Always one result."""

    results = CourseStats(many=True)
    migration = Migration(required=False, help_text="as long as rows are left to copy")


class CourseSummary(CourseSummarySerializer):
    """How far a class has come; the histogram has 0 %, ten steps above it, the last one up to below 100 %."""

    migration = Migration(required=False, help_text="as long as rows are left to copy")


class ExplainedPart(serializers.Serializer[Any]):
    """A child of the explained block that counts."""

    block_key = serializers.CharField()
    display_name = serializers.CharField()
    share = serializers.FloatField(min_value=0, max_value=1, help_text="of the whole, by possible blocks")
    completion = Completion()
    optional_completion = Completion()


class ExplainedStored(serializers.Serializer[Any]):
    """What the last aggregation has saved."""

    computed_at = serializers.DateTimeField()
    completion = Completion(allow_null=True, help_text="null: nothing is stored about such blocks")
    optional_completion = Completion(allow_null=True, help_text="null: nothing is stored about such blocks")


class ExplainedMarkers(serializers.Serializer[Any]):
    """What waits for an aggregation of the learner."""

    open = serializers.IntegerField(min_value=0)
    oldest = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField(required=False, help_text="for staff: why it has failed, or empty")


class UncountedCompletion(serializers.Serializer[Any]):
    """A completion of a block that is not in the course."""

    block_key = serializers.CharField()
    value = serializers.FloatField(min_value=0, max_value=1)
    modified = serializers.DateTimeField()


class ExplainedBlock(serializers.Serializer[Any]):
    """A block in one place of the course: whether it counts there, and why."""

    block_key = serializers.CharField()
    block_type = serializers.CharField()
    display_name = serializers.CharField(
        allow_null=True, help_text="null: for learners, of a block that they do not see"
    )
    counted = serializers.BooleanField(help_text="whether it is part of the required sum in this place")
    reason = serializers.ChoiceField(list(Reason))
    release_date = serializers.DateTimeField(allow_null=True)
    repeated = serializers.BooleanField(help_text="it was told before, under another parent")
    value = serializers.FloatField(
        min_value=0, max_value=1, allow_null=True, help_text="the learner's own completion of the block; null: none"
    )
    modified = serializers.DateTimeField(allow_null=True, help_text="of the value")
    completion = Completion(allow_null=True, help_text="of an aggregator that the learner sees")
    optional_completion = Completion(allow_null=True, help_text="of an aggregator that the learner sees")

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "children": ExplainedBlock(many=True)}


class Explanation(serializers.Serializer[Any]):
    """Why one learner has come as far as that."""

    course_key = serializers.CharField()
    username = serializers.CharField()
    completion = Completion()
    optional_completion = Completion()
    formula = serializers.CharField(help_text="the percent in words and numbers, in the language of the request")
    parts = ExplainedPart(many=True)
    stored = ExplainedStored(allow_null=True, help_text="null: there was no aggregation")
    is_stale = serializers.BooleanField(help_text="whether what is stored may be out of date")
    markers = ExplainedMarkers()
    uncounted_completions = UncountedCompletion(many=True)

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "root": ExplainedBlock()}


class PairCompletion(serializers.Serializer[Any]):
    """One learner's stored completion of one course."""

    user_id = serializers.IntegerField()
    username = serializers.CharField()
    course_key = serializers.CharField()
    completion = Completion()
    optional_completion = Completion(required=False, help_text="with include_optional")
    is_stale = serializers.BooleanField(help_text="what is stored may be out of date")


class BulkAnswer(serializers.Serializer[Any]):
    """Pairs with an active enrollment, ordered by user id, then as the courses were named."""

    results = PairCompletion(many=True)
    unknown_users = serializers.ListField(
        child=serializers.CharField(),
        help_text="who does not exist; to course staff, also who is in none of the courses",
    )
    unknown_user_ids = serializers.ListField(child=serializers.IntegerField())
    migration = Migration(required=False, help_text="as long as rows are left to copy")


class RefreshedCompletion(CourseCompletion):
    """One learner's completion of one course, as it was computed and saved just now."""

    computed_at = serializers.DateTimeField(allow_null=True)


class Queued(serializers.Serializer[Any]):
    """A worker will come to them."""

    queued = serializers.IntegerField(min_value=0, help_text="number of learners")


class Error(serializers.Serializer[Any]):
    """What is wrong, in a sentence."""

    detail = serializers.CharField()


class CompletionV0(Completion):
    """As in version 1, and the percent by its old name."""

    ratio = serializers.FloatField(min_value=0, max_value=1, help_text="equals percent")


class BlockCompletionV0(BlockCompletion):
    """One learner's completion of one block."""

    completion = CompletionV0()


class CourseCompletionV0(CourseCompletion):
    """One learner's completion of one course."""

    block = BlockCompletionV0
    completion = CompletionV0()


class CourseCompletionPageV0(serializers.Serializer[Any]):
    """A page of results."""

    pagination = Pagination()
    results = CourseCompletionV0(many=True)


class SubmittedCompletion(serializers.Serializer[Any]):
    """How much of the block is done."""

    completion = serializers.FloatField(min_value=0, max_value=1)


@extend_schema_field({"type": ["array", "string", "null"], "items": {"type": "string"}})
class Names(serializers.ListField):
    """A list of names, or a text with commas between them."""


class Fields(serializers.ListField):
    """What to tell besides `completion`."""

    def __init__(self, names: Sequence[str]) -> None:
        one = serializers.RegexField(rf"^\s*({'|'.join(names)})?\s*$")
        super().__init__(child=one, required=False, allow_null=True)


class CourseQuestion(serializers.Serializer[Any]):
    """The parameters of the query, except for those of the page; null is as if absent. Others are ignored."""

    username = serializers.CharField(required=False, allow_null=True)
    requested_fields = Fields(DETAIL_FIELDS)
    include_optional = serializers.BooleanField(required=False, allow_null=True)
    user_ids = serializers.ListField(
        child=serializers.IntegerField(), max_length=MAX_IDS, required=False, allow_null=True
    )
    root_block = serializers.CharField(required=False, allow_null=True)
    percent_min = serializers.FloatField(min_value=0, max_value=1, required=False, allow_null=True)
    percent_max = serializers.FloatField(min_value=0, max_value=1, required=False, allow_null=True)
    status = serializers.ChoiceField(list(Progress), required=False, allow_null=True)
    search = serializers.CharField(max_length=MAX_SEARCH, required=False, allow_null=True)
    inactive_days = serializers.FloatField(min_value=0, max_value=MAX_DAYS, required=False, allow_null=True)
    cohorts = serializers.ListField(child=serializers.IntegerField(), min_length=1, required=False, allow_null=True)
    roles = Names(required=False)
    exclude_roles = Names(required=False)
    ordering = serializers.ChoiceField(ORDERINGS, required=False, allow_null=True)


class BulkQuestion(serializers.Serializer[Any]):
    """Which learners, in which courses; null is as if absent."""

    users = Names(required=False, help_text=f"usernames, `me` for one's own; with user_ids at most {MAX_USERS:,}")
    user_ids = serializers.ListField(
        child=serializers.IntegerField(), max_length=MAX_USERS, required=False, allow_null=True
    )
    course_keys = serializers.ListField(child=serializers.CharField(), min_length=1, max_length=MAX_COURSES)
    include_optional = serializers.BooleanField(required=False, allow_null=True)


class RefreshQuestion(serializers.Serializer[Any]):
    """Whom to recompute; for staff who name nobody: everybody. Null is as if absent."""

    username = serializers.CharField(required=False, allow_null=True)
    requested_fields = Fields(FIELDS)
    include_optional = serializers.BooleanField(required=False, allow_null=True)


class Health(serializers.Serializer[Any]):
    """All is well."""

    status = serializers.CharField(help_text="ok")


class Lag(Health):
    """The aggregation keeps up."""

    lag = serializers.FloatField(
        min_value=0, help_text="how long the oldest due marker has waited, in seconds; 0: none is due"
    )
