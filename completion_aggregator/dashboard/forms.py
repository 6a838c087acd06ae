"""The forms of the pages: all are asked by GET, and a wrong value is told beside its field."""

from __future__ import annotations

from datetime import timedelta
from math import nextafter
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.compat import get_lms
from completion_aggregator.conf import conf
from completion_aggregator.dashboard.charts import shares_shown_as
from completion_aggregator.lms.base import Capability
from completion_aggregator.selectors import LearnerFilter, Progress
from completion_aggregator.selectors.roster import MAX_DAYS, MAX_SEARCH

#: Of those who work in a course, by the names that they have in Open edX.
ROLES = {
    "instructor": gettext_lazy("Instructor"),
    "staff": gettext_lazy("Staff"),
    "limited_staff": gettext_lazy("Limited staff"),
    "data_researcher": gettext_lazy("Data researcher"),
    "beta_testers": gettext_lazy("Beta tester"),
}
NO_ROLE = "none"
STATUSES = {
    Progress.NOT_STARTED: gettext_lazy("Not started"),
    Progress.IN_PROGRESS: gettext_lazy("In progress"),
    Progress.COMPLETED: gettext_lazy("Finished"),
}
ORDERINGS = {
    "-last_activity": gettext_lazy("Last activity, newest first"),
    "last_activity": gettext_lazy("Last activity, oldest first"),
    "percent": gettext_lazy("Percent, lowest first"),
    "-percent": gettext_lazy("Percent, highest first"),
    "username": gettext_lazy("Username, A to Z"),
    "-username": gettext_lazy("Username, Z to A"),
}
DEFAULT_ORDERING = "-last_activity"


class _Form(forms.Form):
    """A form with ids of its own: a page may hold others."""

    def __init__(self, data: Any) -> None:
        super().__init__(data, label_suffix="", auto_id="filter-%s")


class CourseSearchForm(_Form):
    """Which courses of a list are meant."""

    search = forms.CharField(label=gettext_lazy("Name or key"), max_length=MAX_SEARCH, required=False)


class LearnerForm(_Form):
    """Which learners of a course are meant, and in which order."""

    search = forms.CharField(label=gettext_lazy("Name"), max_length=MAX_SEARCH, required=False)
    percent_from = forms.IntegerField(label=gettext_lazy("Percent, from"), min_value=0, max_value=100, required=False)
    percent_to = forms.IntegerField(label=gettext_lazy("Percent, to"), min_value=0, max_value=100, required=False)
    status = forms.ChoiceField(label=gettext_lazy("Status"), required=False)
    cohort = forms.TypedChoiceField(label=gettext_lazy("Cohort"), coerce=int, empty_value=None, required=False)
    role = forms.ChoiceField(label=gettext_lazy("Role in the course"), required=False)
    inactive_days = forms.IntegerField(
        label=gettext_lazy("Inactive for days"), min_value=1, max_value=MAX_DAYS, required=False
    )
    ordering = forms.ChoiceField(label=gettext_lazy("Order"), choices=list(ORDERINGS.items()), required=False)
    at_risk = forms.BooleanField(label=gettext_lazy("At risk"), required=False)

    def __init__(self, data: Any, course_key: CourseKey) -> None:
        super().__init__(data)
        lms = get_lms()
        everybody = [("", _("Everybody"))]
        self._offer("status", [("", _("Any")), *STATUSES.items()])
        cohorts = lms.cohorts(course_key) if Capability.COHORTS in lms.capabilities else None
        self._offer("cohort", [*everybody, *cohorts.items()] if cohorts else None)
        roles = [*everybody, (NO_ROLE, _("None of these")), *ROLES.items()]
        self._offer("role", roles if Capability.ROLES in lms.capabilities else None)
        self.fields["at_risk"].help_text = _("below %(percent)s%%, and inactive for %(days)s days") % {
            "percent": round(100 * conf.AT_RISK_PERCENT),
            "days": conf.AT_RISK_DAYS,
        }

    def _offer(self, name: str, choices: list[tuple[Any, Any]] | None) -> None:
        field = self.fields[name]
        if choices is None:
            del self.fields[name]
        elif isinstance(field, forms.ChoiceField):
            field.choices = choices

    def clean(self) -> dict[str, Any]:
        found = self.cleaned_data
        low, high = found.get("percent_from"), found.get("percent_to")
        if low is not None and high is not None and low > high:
            self.add_error("percent_to", _("This is less than where it begins."))
        return found

    @property
    def chosen_ordering(self) -> str:
        return self.cleaned_data.get("ordering") or DEFAULT_ORDERING

    @property
    def is_narrowed(self) -> bool:
        """Whether anybody may be left out."""
        return any(value not in (None, "", False) for name, value in self.cleaned_data.items() if name != "ordering")

    def filter(self) -> LearnerFilter:
        """Return who is meant; the form is valid."""
        found = self.cleaned_data
        low, high = found["percent_from"], found["percent_to"]
        highest = None if high is None else shares_shown_as(high)[1]
        days = found["inactive_days"]
        if found["at_risk"]:
            highest = min(nextafter(conf.AT_RISK_PERCENT, 0.0), 1.0 if highest is None else highest)
            days = max(conf.AT_RISK_DAYS, days or 0)
        role = found.get("role")
        return LearnerFilter(
            search=found["search"],
            percent_min=None if low is None else shares_shown_as(low)[0],
            percent_max=highest,
            status=Progress(found["status"]) if found["status"] else None,
            cohort_ids=None if found.get("cohort") is None else [found["cohort"]],
            roles=[role] if role and role != NO_ROLE else (),
            exclude_roles=list(ROLES) if role == NO_ROLE else (),
            inactive_since=None if days is None else timezone.now() - timedelta(days=days),
        )

    def export_parameters(self) -> dict[str, str]:
        """Return what to ask the REST API for the same learners in the same order."""
        filters, days = self.filter(), self.cleaned_data["inactive_days"]
        if self.cleaned_data["at_risk"]:
            days = max(conf.AT_RISK_DAYS, days or 0)
        found = {
            "search": filters.search,
            "percent_min": filters.percent_min,
            "percent_max": filters.percent_max,
            "status": filters.status,
            "cohorts": ",".join(map(str, filters.cohort_ids or ())),
            "roles": ",".join(filters.roles),
            "exclude_roles": ",".join(filters.exclude_roles),
            "inactive_days": days,
            "ordering": self.chosen_ordering,
        }
        return {name: _as_text(value) for name, value in found.items() if value not in (None, "")}


def _as_text(value: Any) -> str:
    # No exponent: the API reads plain numbers.
    return f"{value:.20f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
