"""What the views share: who asks, for whom, about which enrollments, and how answers are paged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import SuspiciousOperation
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from edx_rest_framework_extensions.paginators import NamespacedPageNumberPagination
from opaque_keys.edx.keys import CourseKey
from rest_framework import status
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, NotFound, ParseError, PermissionDenied
from rest_framework.pagination import BasePagination
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from completion_aggregator.api.parameters import Parameters
from completion_aggregator.api.parsers import QuestionParser
from completion_aggregator.compat import get_lms
from completion_aggregator.conf import conf
from completion_aggregator.exceptions import InvalidCursorError, InvalidKeyError
from completion_aggregator.metrics import timed_request
from completion_aggregator.selectors import CourseCompletion, LearnerFilter, get_course_means
from completion_aggregator.selectors.roster import get_learner_id_page
from completion_aggregator.serializers import EXTRA_FIELDS, CourseCompletionSerializer
from completion_aggregator.tracing import describe, span
from completion_aggregator.utils import is_storable, parse_block_key, parse_course_key

#: What the names of the paths begin with, where Open edX mounts them.
MOUNT = "completion_aggregator_api:"
#: Stands for the one who asks, where a username is expected.
ME = "me"


class UnavailableError(APIException):
    """The completion cannot be computed just now, and it is not the fault of whoever asks."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "unavailable"

    def __init__(self) -> None:
        super().__init__(_("The completion cannot be computed at the moment."))


class _Paginator(Paginator):  # type: ignore[type-arg]  # not a generic at run time
    """Reads the second half from the end: a database walks over all the rows before a page."""

    def page(self, number: int | str) -> Page[Any]:
        page = super().page(number)
        start, end = page.start_index() - 1, page.end_index()
        if isinstance(self.object_list, QuerySet) and start > self.count // 2:
            backwards = self.object_list.reverse()[self.count - end : self.count - start]
            page.object_list = list(reversed(backwards))
        return page


class CompletionPagination(NamespacedPageNumberPagination):  # type: ignore[misc]  # comes without types
    """Pages of at most 10,000 results; the default size is Django REST framework's PAGE_SIZE, else 10."""

    django_paginator_class = _Paginator
    max_page_size = 10_000

    def get_page_size(self, request: Request) -> int:
        return super().get_page_size(request) or 10


class RosterPagination(BasePagination):
    """The pages of a walk through the learners of a course: nothing is counted, nothing is walked over."""

    cursor_query_param = "cursor"

    def paginate_roster(
        self, request: Request, course_key: CourseKey, filters: LearnerFilter, ordering: str
    ) -> list[int]:
        """Return the user ids of the page that the request asks for; the empty cursor starts the walk."""
        self.url = request.build_absolute_uri()
        cursor = request.query_params[self.cursor_query_param] or None
        size = CompletionPagination().get_page_size(request)
        try:
            self.page = get_learner_id_page(course_key, filters, ordering=ordering, cursor=cursor, size=size)
        except InvalidCursorError as error:
            raise NotFound(_("Invalid cursor")) from error
        return self.page.user_ids

    def get_paginated_response(self, data: Any) -> Response:
        links = {"next": self._link(self.page.next), "previous": self._link(self.page.previous)}
        return Response({"pagination": links, "results": data})

    def _link(self, cursor: str | None) -> str | None:
        return None if cursor is None else replace_query_param(self.url, self.cursor_query_param, cursor)


class UserEnrollments:
    """The active enrollments of a user, or of everybody."""

    def __init__(self, user: AbstractBaseUser | None = None) -> None:
        self.user = user

    @cached_property
    def queryset(self) -> QuerySet[Any]:
        enrollments = get_lms().enrollments()
        return enrollments if self.user is None else enrollments.filter(user_id=self.user.pk)

    def get_enrollments(self) -> QuerySet[Any]:
        """Select them, ordered by course key."""
        return self.queryset.order_by("course_id", "user_id")

    def get_course_enrollments(self, course_key: CourseKey) -> QuerySet[Any]:
        """Select those in one course, ordered by user id."""
        return self.queryset.filter(course_id=course_key).order_by("user_id")

    def get_course_enrollment(self, course_key: CourseKey) -> Any | None:
        """Return the one in a course, or None."""
        # MySQL takes a key in other letter case for the same; a course key is another then.
        return next((each for each in self.get_course_enrollments(course_key) if each.course_id == course_key), None)

    def is_enrolled(self, course_key: CourseKey) -> bool:
        return self.get_course_enrollment(course_key) is not None


if TYPE_CHECKING:
    _View = APIView
else:
    _View = object


class CompletionViewMixin(_View):
    """Authentication, the effective user and the parameters of a completion view.

    Python callers may set `_effective_user` before they call a method of the view: the question then is that user's.
    """

    permission_classes = (IsAuthenticated,)
    parser_classes = (QuestionParser,)
    renderer_classes = (JSONRenderer,)
    _effective_user: AbstractBaseUser | None = None

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [import_string(path)() for path in conf.AUTHENTICATION_CLASSES]

    @cached_property
    def paginator(self) -> BasePagination:
        paginator: BasePagination = import_string(conf.PAGINATION_CLASS)()
        return paginator

    @property
    def parameters(self) -> Parameters:
        return Parameters(self.request)

    @property
    def requester(self) -> AbstractBaseUser:
        return self._effective_user or cast(AbstractBaseUser, self.request.user)

    def is_staff(self, course_key: CourseKey | None = None) -> bool:
        """Tell whether the requester is global staff or, given a course, works in that course."""
        if getattr(self.requester, "is_staff", False):
            return True
        return course_key is not None and get_lms().is_course_staff(self.requester, course_key)

    def get_requested_user(self, course_key: CourseKey | None = None) -> AbstractBaseUser | None:
        """Return the effective user; None: staff who named nobody.

        Raises:
            PermissionDenied: not staff, and not asking for themselves; whether or not there is such a user.
            NotFound: staff, but there is no such user. Course staff are told so as if there were, who is not enrolled.
        """
        username = self.parameters.get_text("username")
        if username is not None and username.casefold() in (ME, self.requester.get_username().casefold()):
            return self.requester
        if not self.is_staff(course_key):
            raise PermissionDenied(_("Only staff may ask for others; ask with your own username."))
        if username is None:
            return None
        users = get_user_model()
        try:
            if is_storable(username):
                return users._default_manager.get_by_natural_key(username)
        except users.DoesNotExist:
            pass
        if course_key is not None and not self.is_staff():
            # Who works in one course does not learn who there is besides, not even by the number of queries.
            self.check_enrolled(users(pk=0), course_key)
        raise NotFound(_("There is no such user."))

    @staticmethod
    def check_enrolled(user: AbstractBaseUser, course_key: CourseKey) -> None:
        if not UserEnrollments(user).is_enrolled(course_key):
            raise NotFound(_("The learner is not enrolled in this course."))

    #: What may be requested besides the block types.
    extra_fields: Collection[str] = EXTRA_FIELDS

    def get_requested_fields(self) -> list[str]:
        return self.parameters.get_names("requested_fields", allowed={*self.extra_fields, *conf.BLOCK_TYPES})

    def get_include_optional(self) -> bool:
        return self.parameters.get_flag("include_optional")

    def get_root_block(self, course_key: CourseKey) -> str | None:
        text = self.parameters.get_text("root_block")
        try:
            return None if text is None else parse_block_key(text, course_key)
        except InvalidKeyError:
            raise NotFound(_("The course has no such block.")) from None

    @staticmethod
    def get_course_key(text: str) -> CourseKey:
        try:
            return parse_course_key(text)
        except InvalidKeyError:
            raise NotFound(_("Invalid course key.")) from None


#: Of every answer: whatever a browser makes of it, nothing in it is run, framed or told on.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def harden(response: HttpResponseBase) -> None:
    """Let no cache on the way keep an answer, and no browser make anything of it."""
    add_never_cache_headers(response)
    for name, value in HEADERS.items():
        response.headers[name] = value


class CompletionView(CompletionViewMixin, APIView):
    """Turns completions into an answer."""

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        harden(response)
        # It is about somebody, and for whoever asked.
        patch_vary_headers(response, ["Authorization", "Cookie"])
        return response

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        endpoint = request.resolver_match.view_name if request.resolver_match else type(self).__name__
        endpoint = endpoint.removeprefix(MOUNT)
        with timed_request(endpoint) as answer, span("request", endpoint=endpoint) as current:
            response = super().dispatch(request, *args, **kwargs)
            answer["status"] = response.status_code
            describe(current, status=response.status_code, **self._described(response))
        return response

    def _described(self, response: Any) -> dict[str, Any]:
        """Tell the course and the number of results of an answer, as far as there are any."""
        course = {"course": self.kwargs["course_key"]} if "course_key" in self.kwargs else {}
        data = getattr(response, "data", None)
        return course | ({"results": len(data["results"])} if isinstance(data, dict) and "results" in data else {})

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, SuspiciousOperation):
            # Django refused to read it: a thousand parameters, say. Its own answer is a page of HTML.
            exc = ParseError(_("The request is malformed."))
        response = super().handle_exception(exc)
        if isinstance(response.data, dict) and "detail" not in response.data:
            # The platform says in other words why a token was refused; some clients read these.
            response.data = {"detail": response.data.get("developer_message", str(exc)), **response.data}
        return response

    def serialize(
        self,
        completions: Iterable[CourseCompletion],
        course_keys: Sequence[CourseKey],
        requested_fields: Collection[str],
        **extras: Any,
    ) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = CourseCompletionSerializer(
            completions,
            many=True,
            requested_fields=requested_fields,
            include_optional=self.get_include_optional(),
            means=get_course_means(course_keys) if "mean" in requested_fields else None,
            **extras,
        ).data
        return results

    def respond(
        self,
        completions: Iterable[CourseCompletion],
        course_keys: Sequence[CourseKey],
        requested_fields: Collection[str],
        **extras: Any,
    ) -> Response:
        """Answer with a page of completions; `extras` are those of the serializer."""
        results = self.serialize(completions, course_keys, requested_fields, **extras)
        return self.paginator.get_paginated_response(results)

    def paginate(self, rows: Any) -> list[Any]:
        return list(self.paginator.paginate_queryset(rows, self.request, view=self) or [])
