"""Pages of the sample LMS: where the demo starts."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.views.generic import TemplateView

from sample_lms.models import Course, Enrollment


class StartView(TemplateView):
    """Lead to everything that there is to see, with the accounts of the demo a button away."""

    template_name = "sample_lms/start.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        course = Course.objects.order_by("pk").first()
        learner = get_user_model().objects.filter(username="learner").first()
        learners = Enrollment.objects.filter(course_id=course.course_key, is_active=True).count() if course else 0
        context = {"course": course, "learner": learner, "learners": learners, "accounts": ("staff", "learner")}
        return super().get_context_data(**kwargs, **context)
