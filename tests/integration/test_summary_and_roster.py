"""The figures of a course and the list of its learners say the same."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from completion_aggregator.conf import conf
from completion_aggregator.models import CourseAggregate
from completion_aggregator.selectors import LearnerFilter, Progress, count_roster, get_course_summary
from completion_aggregator.services import aggregate_stale
from sample_lms.models import Course, Enrollment
from tests.factories import COURSE_KEY, CohortFactory, EnrollmentFactory, MembershipFactory, RoleFactory, complete

pytestmark = pytest.mark.django_db

ALL_SIX = ("html/h1", "html/h2", "problem/p1", "html/h3", "html/h4", "video/m1")


def test_every_figure_is_the_length_of_a_list(course: Any) -> None:
    Course.objects.update(cohorted=True)
    owls = CohortFactory(name="owls")
    users = [EnrollmentFactory().user for _ in range(9)]
    for done, user in enumerate(users):
        complete(user, *ALL_SIX[:done])
    for user in users[2:6]:
        MembershipFactory(user=user, cohort=owls)
    aggregate_stale()
    Enrollment.objects.filter(user=users[4]).update(is_active=False)
    RoleFactory(user=users[6])
    EnrollmentFactory.create_batch(2)
    long_ago = timezone.now() - timedelta(days=conf.AT_RISK_DAYS, hours=1)
    CourseAggregate.objects.filter(user__in=users[::2]).update(last_modified=long_ago)

    found = get_course_summary(COURSE_KEY)

    def count(**filters: Any) -> int:
        number: int = count_roster(COURSE_KEY, LearnerFilter(**filters))
        return number

    assert count() == found.enrolled == 10
    assert count(status=Progress.NOT_STARTED) == found.not_started == found.histogram[0]
    assert count(status=Progress.IN_PROGRESS) == found.in_progress
    assert count(status=Progress.COMPLETED) == found.completed
    assert count(cohort_ids=[owls.pk]) == found.cohorts[0].enrolled == 3
    quiet = timezone.now() - timedelta(days=conf.AT_RISK_DAYS)
    assert count(inactive_since=quiet, percent_max=conf.AT_RISK_PERCENT - 1e-9) == found.at_risk
