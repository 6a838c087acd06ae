"""Reading: what views, pages and other plugins ask. Nothing here changes a row.

`__all__` is the public Python API; it is stable.
"""

from __future__ import annotations

from completion_aggregator.selectors.bulk import PairCompletion, iter_pair_completions
from completion_aggregator.selectors.completions import (
    CourseCompletion,
    Learner,
    get_course_completion,
    get_learner_completions,
)
from completion_aggregator.selectors.drift import BlockDrift, Cause, Drift, LearnerDrift, find_drift, find_learners
from completion_aggregator.selectors.enrollments import is_enrolled
from completion_aggregator.selectors.explain import ExplainedBlock, Explanation, Reason, explain_completion
from completion_aggregator.selectors.migration import Migration, find_migration
from completion_aggregator.selectors.path import (
    LearnerPath,
    PathBlock,
    get_learner_courses,
    get_learner_path,
    get_learner_paths,
)
from completion_aggregator.selectors.roster import (
    ORDERINGS,
    LearnerFilter,
    Progress,
    RosterPage,
    RosterRow,
    count_roster,
    get_course_completions,
    get_roster_page,
    iter_roster,
)
from completion_aggregator.selectors.stats import CourseStats, get_course_means, get_course_stats
from completion_aggregator.selectors.status import Status, get_status
from completion_aggregator.selectors.summary import (
    CohortSummary,
    CourseSummary,
    LearnerTrendPoint,
    SectionFunnel,
    TrendPoint,
    find_course_snapshot,
    get_course_snapshots,
    get_course_summary,
    get_course_trend,
    get_learner_trend,
    read_snapshot,
)

__all__ = [
    "ORDERINGS",
    "BlockDrift",
    "Cause",
    "CohortSummary",
    "CourseCompletion",
    "CourseStats",
    "CourseSummary",
    "Drift",
    "ExplainedBlock",
    "Explanation",
    "Learner",
    "LearnerDrift",
    "LearnerFilter",
    "LearnerPath",
    "LearnerTrendPoint",
    "Migration",
    "PairCompletion",
    "PathBlock",
    "Progress",
    "Reason",
    "RosterPage",
    "RosterRow",
    "SectionFunnel",
    "Status",
    "TrendPoint",
    "count_roster",
    "explain_completion",
    "find_course_snapshot",
    "find_drift",
    "find_learners",
    "find_migration",
    "get_course_completion",
    "get_course_completions",
    "get_course_means",
    "get_course_snapshots",
    "get_course_stats",
    "get_course_summary",
    "get_course_trend",
    "get_learner_completions",
    "get_learner_courses",
    "get_learner_path",
    "get_learner_paths",
    "get_learner_trend",
    "get_roster_page",
    "get_status",
    "is_enrolled",
    "iter_pair_completions",
    "iter_roster",
    "read_snapshot",
]
