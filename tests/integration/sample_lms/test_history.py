"""The past of the demo."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from completion.models import BlockCompletion

from completion_aggregator.models import LearnerSnapshot
from completion_aggregator.selectors import TrendPoint, get_course_trend, get_learner_trend
from completion_aggregator.services import aggregate_stale
from sample_lms.history import write_history
from tests.factories import COURSE_KEY, EnrollmentFactory, complete, usage_key

pytestmark = pytest.mark.django_db


def test_the_past_is_what_the_dates_of_the_completions_say(learner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    noon = datetime(2026, 7, 9, 12, tzinfo=UTC)
    EnrollmentFactory()
    EnrollmentFactory(is_active=False)
    complete(learner, "html/h1", "html/h2", "html/h3", "html/h4")
    complete(learner, "problem/p1", value=0.5)
    dates = {
        "html/h1": noon - timedelta(days=9),
        "html/h2": datetime(2026, 7, 6, tzinfo=UTC) - timedelta(microseconds=1),
        "html/h3": datetime(2026, 7, 6, tzinfo=UTC),
        "problem/p1": noon - timedelta(days=3),
        "html/h4": noon,
    }
    for name, moment in dates.items():
        BlockCompletion.objects.filter(block_key=usage_key(name)).update(modified=moment)
    aggregate_stale()
    monkeypatch.setattr("django.utils.timezone.now", lambda: noon)

    for _ in range(2):
        write_history(COURSE_KEY, days=5)

    percents = [(4, 1 / 6), (5, 2 / 6), (6, 3.5 / 6), (7, 3.5 / 6), (8, 3.5 / 6)]
    assert get_course_trend(COURSE_KEY, days=60) == [
        TrendPoint(noon.date().replace(day=day), 2, 1, 0, done / 2) for day, done in percents
    ]
    assert get_learner_trend(COURSE_KEY, learner.pk, days=60) == [
        (noon.date().replace(day=day), done) for day, done in percents[:3]
    ]
    assert LearnerSnapshot.objects.count() == 3
