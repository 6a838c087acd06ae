"""Reading: what views, pages and other plugins ask. Nothing here changes a row.

`__all__` is the public Python API; it is stable.
"""

from __future__ import annotations

from completion_aggregator.selectors.completions import (
    CourseCompletion,
    Learner,
    get_course_completion,
    get_learner_completions,
)
from completion_aggregator.selectors.migration import Migration, find_migration
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

__all__ = [
    "ORDERINGS",
    "CourseCompletion",
    "CourseStats",
    "Learner",
    "LearnerFilter",
    "Migration",
    "Progress",
    "RosterPage",
    "RosterRow",
    "Status",
    "count_roster",
    "find_migration",
    "get_course_completion",
    "get_course_completions",
    "get_course_means",
    "get_course_stats",
    "get_learner_completions",
    "get_roster_page",
    "get_status",
    "iter_roster",
]
