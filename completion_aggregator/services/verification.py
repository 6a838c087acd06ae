"""Comparing what is stored with what it is made from, having what differs recomputed, and keeping what was found."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import SystemRandom

from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.compat import get_lms
from completion_aggregator.conf import conf
from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.models import Course, Verification
from completion_aggregator.selectors.drift import Cause, Drift, LearnerDrift, find_drift, find_learners
from completion_aggregator.services.forgetting import forget_learner
from completion_aggregator.services.staleness import mark_learners
from completion_aggregator.utils import parse_course_key

log = logging.getLogger(__name__)

#: Wrong learners of a course that are told one by one; the rest is in the counts only.
MAX_LEARNERS = 20
#: Courses from which the sample of a day is drawn.
_MAX_COURSES = 50


@dataclass(slots=True, kw_only=True)
class CourseVerification:
    """What was found in one course."""

    course_key: CourseKey
    #: Learners compared; those who are not, because they are stale; those of them who were given up.
    learners: int = 0
    stale: int = 0
    given_up: int = 0
    #: Learners whose stored values are wrong, and by cause: one may be wrong in several ways.
    drifted: int = 0
    causes: Counter[Cause] = field(default_factory=Counter)
    #: The first of them.
    found: list[LearnerDrift] = field(default_factory=list)
    #: Learners who were marked, and those whose rows were deleted, because there is no such user.
    marked: int = 0
    forgotten: int = 0
    #: Why the course could not be compared, or not to the end; empty: it was.
    error: str = ""

    def add(self, drift: Drift) -> None:
        self.learners += drift.learners - drift.stale
        self.stale += drift.stale
        self.given_up += drift.given_up
        self.drifted += len(drift.user_ids)
        self.causes.update(each.cause for each in drift.found)
        self.found += drift.found[: MAX_LEARNERS - len(self.found)]


def verify_course(
    course_key: CourseKey,
    user_ids: Sequence[int],
    *,
    repair: bool = False,
    progress: Callable[[int], object] | None = None,
) -> CourseVerification:
    """Compare what is stored of these learners with what it is made from; see `selectors.find_drift`.

    Args:
        repair: mark those who differ, so that the next pass computes them; forget those who do not exist.
        progress: called after each chunk with its number of learners.

    Nothing is raised for a course that the LMS cannot tell: `error` says so.
    """
    found = CourseVerification(course_key=course_key)
    try:
        for drift in find_drift(course_key, user_ids):
            found.add(drift)
            if repair:
                _repair(found, drift)
            if progress is not None:
                progress(drift.learners)
    except CompletionAggregatorError as error:
        found.error = f"{type(error).__name__}: {error}"
    return found


def _repair(found: CourseVerification, drift: Drift) -> None:
    gone = {each.user_id for each in drift.found if each.cause == Cause.UNKNOWN_LEARNER}
    for user_id in sorted(gone):
        forget_learner(user_id)
    wrong = [user_id for user_id in drift.user_ids if user_id not in gone]
    if wrong:
        mark_learners(found.course_key, wrong, bulk=True)
    found.forgotten += len(gone)
    found.marked += len(wrong)


def verify_sample() -> Verification | None:
    """Compare some learners of some courses, drawn anew each time; log what is wrong, and keep the counts.

    It is for once a day: so a fault that touches many is noticed, whichever it is. Nothing is repaired.

    Returns:
        What was kept; None: the setting VERIFY_SAMPLE is 0, or nothing was ever aggregated.
    Cost: for each of at most 50 courses, that of `selectors.find_learners` and `selectors.find_drift`.
    """
    keys = list(Course.objects.values_list("course_key", flat=True))
    if not (conf.VERIFY_SAMPLE and keys):
        return None
    drawn = SystemRandom().sample(keys, min(len(keys), conf.VERIFY_SAMPLE, _MAX_COURSES))
    # Courses may be gone from the LMS, and their aggregates left.
    known = get_lms().course_versions([parse_course_key(key) for key in drawn])
    size = conf.VERIFY_SAMPLE // len(drawn)
    results = [verify_course(key, find_learners(key, sample=size)) for key in known]
    for result in results:
        if result.drifted or result.error:
            log.error(
                "Drift in %s: %s of %s learners (%s), the first are %s. %s",
                result.course_key,
                result.drifted,
                result.learners,
                ", ".join(f"{cause}: {count}" for cause, count in sorted(result.causes.items())),
                sorted({each.user_id for each in result.found}),
                result.error,
            )
    return keep_verification(results)


def keep_verification(results: Sequence[CourseVerification]) -> Verification:
    """Keep the counts of a comparison of the whole site, or of a sample of it, instead of the last one's."""
    causes = sum((result.causes for result in results), Counter[Cause]())
    verification, _ = Verification.objects.update_or_create(
        pk=1,
        defaults={
            "finished_at": timezone.now(),
            "courses": len(results),
            "failed_courses": sum(bool(result.error) for result in results),
            "learners": sum(result.learners for result in results),
            "stale": sum(result.stale for result in results),
            "drifted": sum(result.drifted for result in results),
            "causes": dict(causes),
        },
    )
    return verification
