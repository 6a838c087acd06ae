"""The dashboard: how a class has come along, for those who teach it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple, cast
from urllib.parse import urlencode

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.compat import get_lms
from completion_aggregator.conf import conf
from completion_aggregator.dashboard.charts import Line, funnel, histogram, trend
from completion_aggregator.dashboard.forms import CourseSearchForm, LearnerForm
from completion_aggregator.dashboard.outline import outline
from completion_aggregator.dashboard.pages import Page, get_course_key, page_url
from completion_aggregator.exceptions import CompletionAggregatorError, InvalidCursorError
from completion_aggregator.selectors import (
    CourseSummary,
    LearnerFilter,
    RosterPage,
    RosterRow,
    count_roster,
    find_course_snapshot,
    get_course_snapshots,
    get_course_summary,
    get_course_trend,
    get_learner_trend,
    get_roster_page,
    read_snapshot,
)
from completion_aggregator.selectors.courses import get_freshness, select_courses
from completion_aggregator.selectors.explain import explain_completion
from completion_aggregator.selectors.roster import get_roster_rows
from completion_aggregator.utils import MAX_ID, parse_course_key

COURSES_PER_PAGE = 25
LEARNERS_PER_PAGE = 50
TREND_DAYS = 60
#: Columns of the table of learners that it can be sorted by, and how at the first click.
SORTABLE = {"username": "username", "percent": "percent", "last_activity": "-last_activity"}


class CourseListView(Page):
    """The courses whose learners the user may see, with the newest figures of each."""

    template_name = "completion_aggregator/dashboard/courses.html"
    section = "courses"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated and not self.works_in_courses():
            raise PermissionDenied(_("Only staff may see the dashboard."))
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        user = cast(AbstractBaseUser, self.request.user)
        form = CourseSearchForm(self.request.GET)
        courses = []
        page = None
        if form.is_valid():
            keys = None if self.request.user.is_staff else get_lms().staff_courses(user)
            found = select_courses(keys, search=form.cleaned_data["search"])
            page = Paginator(found, COURSES_PER_PAGE).get_page(self.request.GET.get("page"))
            courses = _list_courses([parse_course_key(key) for key in page])
        query = self.request.GET.copy()
        query.pop("page", None)
        return super().get_context_data(
            form=form, courses=courses, page_of_courses=page, query=query.urlencode(), **kwargs
        )


class _Listed(NamedTuple):
    """A line of the list of courses."""

    course_key: CourseKey
    name: str
    #: As of the newest snapshot; None: none was taken yet.
    figures: CourseSummary | None


def _list_courses(course_keys: list[CourseKey]) -> list[_Listed]:
    snapshots = get_course_snapshots(course_keys)
    figures = {key: read_snapshot(key, snapshot) for key, snapshot in snapshots.items()}
    names = {key: each.display_name for key, each in figures.items()}
    return [_Listed(key, names.get(key) or str(key), figures.get(key)) for key in course_keys]


class _CoursePage(Page):
    """A page about one course, for those who work in it."""

    section = "courses"
    course_key: CourseKey

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user = request.user
        if user.is_authenticated:
            self.course_key = get_course_key(kwargs["course_key"])
            if not (user.is_staff or get_lms().is_course_staff(user, self.course_key)):
                raise PermissionDenied(_("Only staff may see the learners of a course."))
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs | {"course_key": self.course_key})


class CourseView(_CoursePage):
    """How far a class has come, and who is in it."""

    template_name = "completion_aggregator/dashboard/course.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        key = self.course_key
        summary = _get_summary(key)
        form = LearnerForm(self.request.GET, key)
        context = super().get_context_data(
            summary=summary,
            name=summary.display_name or str(key),
            freshness=get_freshness(key),
            histogram=histogram(summary.histogram),
            funnel=funnel(summary.sections) if summary.sections else "",
            trend=_draw_course_trend(key),
            form=form,
            **kwargs,
        )
        return context | (self._learners(form, summary) if form.is_valid() else {})

    def _learners(self, form: LearnerForm, summary: CourseSummary) -> dict[str, Any]:
        filters = form.filter()
        cursor = self.request.GET.get("cursor") or None
        try:
            page = get_roster_page(
                self.course_key, filters, ordering=form.chosen_ordering, cursor=cursor, size=LEARNERS_PER_PAGE
            )
        except InvalidCursorError:
            raise Http404(_("There is no such page.")) from None
        is_all = cursor is None and page.next is None
        export = page_url(self.request, "completion_api_v1:export", course_key=str(self.course_key))
        exported = {"type": "csv", **form.export_parameters()}
        return {
            "learners": _list_members(page),
            "found": len(page.rows) if is_all else self._count(form, filters, summary),
            "columns": {name: self._column(name, first, form.chosen_ordering) for name, first in SORTABLE.items()},
            "next": page.next and self._link(cursor=page.next),
            "previous": page.previous and self._link(cursor=page.previous),
            "first": cursor and self._link(),
            "export": f"{export}?{urlencode(exported)}",
        }

    def _count(self, form: LearnerForm, filters: LearnerFilter, summary: CourseSummary) -> int:
        """Return how many learners are meant; everybody was counted for the snapshot."""
        return count_roster(self.course_key, filters) if form.is_narrowed else summary.enrolled

    def _column(self, name: str, first: str, ordering: str) -> dict[str, str]:
        """Describe the head of a column: how it is sorted now, and the link to sort by it."""
        directions = {name: "ascending", f"-{name}": "descending"}
        other = f"-{name}" if ordering == name else name
        following = other if ordering in directions else first
        return {"sort": directions.get(ordering, ""), "link": self._link(ordering=following)}

    def _link(self, **changes: str) -> str:
        """Return the query of the same question with other parameters; without a cursor, of its first page."""
        query = self.request.GET.copy()
        query.pop("cursor", None)
        for name, value in changes.items():
            query[name] = value
        return f"?{query.urlencode()}#learners"


def _get_summary(course_key: CourseKey) -> CourseSummary:
    """Return the newest figures of a course, worked out now where there are none.

    Raises:
        Http404: there is no such course.
    """
    snapshot = find_course_snapshot(course_key)
    if snapshot is not None:
        return read_snapshot(course_key, snapshot)
    if course_key not in get_lms().course_versions([course_key]):
        raise Http404(_("There is no such course."))
    return get_course_summary(course_key)


def _draw_course_trend(course_key: CourseKey) -> SafeString | str:
    points = get_course_trend(course_key, days=TREND_DAYS)
    lines = [
        Line(_("Mean"), [point.mean for point in points]),
        Line(_("Started"), [point.started / (point.enrolled or 1) for point in points]),
        Line(_("Finished"), [point.completed / (point.enrolled or 1) for point in points]),
    ]
    return _draw([point.day for point in points], lines)


def _draw(days: list[Any], lines: list[Line]) -> SafeString | str:
    """Draw lines up to today; nothing, where they would be a point."""
    today = datetime.now(UTC).date()
    return trend(days, lines, until=today) if days and days[0] < today else ""


class _Member(NamedTuple):
    """A line of the table of learners."""

    row: RosterRow
    #: Empty where the LMS knows of none.
    name: str
    is_at_risk: bool


def _list_members(page: RosterPage) -> list[_Member]:
    names = get_lms().learner_names([row.learner.user_id for row in page.rows])
    return [_Member(row, names.get(row.learner.user_id, ""), _is_at_risk(row)) for row in page.rows]


def _is_at_risk(row: RosterRow) -> bool:
    active = row.tally.last_modified
    is_quiet = active is None or (timezone.now() - active).days >= conf.AT_RISK_DAYS
    return is_quiet and row.tally.percent < conf.AT_RISK_PERCENT


class LearnerView(_CoursePage):
    """What one learner has done in a course, and what not, block by block."""

    template_name = "completion_aggregator/dashboard/learner.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        key = self.course_key
        learner = self._get_learner(int(kwargs["user_id"]))
        (row,) = get_roster_rows(key, [learner.pk])
        try:
            explanation = explain_completion(learner, key)
        except CompletionAggregatorError as error:
            raise Http404(str(error)) from None
        return super().get_context_data(
            learner=learner,
            name=get_lms().learner_names([learner.pk]).get(learner.pk, learner.get_username()),
            course_name=explanation.root.display_name or str(key),
            explanation=explanation,
            outline=outline(explanation.root),
            row=row,
            trend=_draw_learner_trend(key, learner.pk),
            **kwargs,
        )

    def _get_learner(self, user_id: int) -> AbstractBaseUser:
        """Return the learner; who is not enrolled here is nobody whom this course's staff may ask for."""
        enrolled = get_lms().enrollments().filter(course_id=self.course_key, user_id=user_id)
        # Most databases take a key in other letter case for the same. Whether there is such a user is asked after this:
        # who works in one course does not learn who there is besides.
        is_enrolled = user_id <= MAX_ID and self.course_key in enrolled.values_list("course_id", flat=True)
        learner = get_user_model()._default_manager.filter(pk=user_id).first() if is_enrolled else None
        if learner is None:
            raise Http404(_("There is no such learner in this course."))
        return learner


def _draw_learner_trend(course_key: CourseKey, user_id: int) -> SafeString | str:
    points = get_learner_trend(course_key, user_id, days=TREND_DAYS)
    return _draw([point.day for point in points], [Line(_("Progress"), [point.percent for point in points])])
