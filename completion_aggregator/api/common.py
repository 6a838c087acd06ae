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
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from edx_rest_framework_extensions.paginators import NamespacedPageNumberPagination
from opaque_keys.edx.keys import CourseKey
from rest_framework import status
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, NotFound, ParseError, PermissionDenied
from rest_framework.pagination import BasePagination, Cursor, CursorPagination
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from completion_aggregator.api.parameters import MAX_ID, Parameters
from completion_aggregator.api.parsers import QuestionParser
from completion_aggregator.compat import get_lms
from completion_aggregator.conf import conf
from completion_aggregator.exceptions import InvalidKeyError
from completion_aggregator.selectors import CourseCompletion, get_course_means
from completion_aggregator.serializers import EXTRA_FIELDS, CourseCompletionSerializer
from completion_aggregator.utils import is_storable, parse_block_key, parse_course_key

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


class CompletionCursorPagination(CursorPagination):
    """The pages of a walk through all learners of a course: nothing is counted, nothing is walked over."""

    ordering = "user_id"
    page_size_query_param = "page_size"
    max_page_size = CompletionPagination.max_page_size

    def get_page_size(self, request: Request) -> int:
        return super().get_page_size(request) or 10

    def decode_cursor(self, request: Request) -> Cursor | None:
        cursor = super().decode_cursor(request)
        # The empty cursor starts the walk; any other names the user id next to which it goes on.
        if cursor is not None and request.query_params[self.cursor_query_param]:
            try:
                position = int(cursor.position or "")
            except ValueError:
                position = -1
            if not 0 <= position <= MAX_ID:
                raise NotFound(self.invalid_cursor_message)
        return cursor

    def get_paginated_response(self, data: Any) -> Response:
        links = {"next": self.get_next_link(), "previous": self.get_previous_link()}
        return Response({"pagination": links, "results": data})


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
            NotFound: staff, but there is no such user.
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
        raise NotFound(_("There is no such user."))

    def get_requested_fields(self) -> list[str]:
        return self.parameters.get_names("requested_fields", allowed={*EXTRA_FIELDS, *conf.BLOCK_TYPES})

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


class CompletionView(CompletionViewMixin, APIView):
    """Turns completions into an answer."""

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, SuspiciousOperation):
            # Django refused to read it: a thousand parameters, say. Its own answer is a page of HTML.
            exc = ParseError(_("The request is malformed."))
        response = super().handle_exception(exc)
        if isinstance(response.data, dict) and "detail" not in response.data:
            # The platform says in other words why a token was refused; some clients read these.
            response.data = {"detail": response.data.get("developer_message", str(exc)), **response.data}
        return response

    def check_enrolled(self, user: AbstractBaseUser, course_key: CourseKey) -> None:
        if not UserEnrollments(user).is_enrolled(course_key):
            raise NotFound(_("The learner is not enrolled in this course."))

    def serialize(
        self,
        completions: Iterable[CourseCompletion],
        course_keys: Sequence[CourseKey],
        requested_fields: Collection[str],
    ) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = CourseCompletionSerializer(
            completions,
            many=True,
            requested_fields=requested_fields,
            include_optional=self.get_include_optional(),
            means=get_course_means(course_keys) if "mean" in requested_fields else None,
        ).data
        return results

    def respond(
        self,
        completions: Iterable[CourseCompletion],
        course_keys: Sequence[CourseKey],
        requested_fields: Collection[str],
    ) -> Response:
        return self.paginator.get_paginated_response(self.serialize(completions, course_keys, requested_fields))

    def paginate(self, rows: Any) -> list[Any]:
        return list(self.paginator.paginate_queryset(rows, self.request, view=self) or [])
