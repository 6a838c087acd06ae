"""The endpoints of version 0: two questions about one learner, and the submission of a completion."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from completion.models import BlockCompletion
from completion.waffle import ENABLE_COMPLETION_TRACKING_SWITCH
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_view
from opaque_keys.edx.keys import CourseKey, UsageKey
from rest_framework import status
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.request import Request
from rest_framework.response import Response

from completion_aggregator.api.common import CompletionView
from completion_aggregator.api.schema import operations
from completion_aggregator.api.v1 import views as v1
from completion_aggregator.exceptions import InvalidKeyError
from completion_aggregator.selectors import CourseCompletion, get_course_completion
from completion_aggregator.selectors.structure import has_block
from completion_aggregator.serializers import EXTRA_FIELDS
from completion_aggregator.utils import parse_block_key


class _CompletionViewV0(CompletionView):
    """Tells the percent as `ratio`, too; whoever names nobody asks about themselves."""

    def get_requested_user(self, course_key: CourseKey | None = None) -> AbstractBaseUser:
        user = super().get_requested_user(course_key) if self.parameters.get_text("username") else None
        return user or self.requester

    def serialize(
        self,
        completions: Iterable[CourseCompletion],
        course_keys: Sequence[CourseKey],
        requested_fields: Collection[str],
        **extras: Any,
    ) -> list[dict[str, Any]]:
        results = super().serialize(completions, course_keys, requested_fields, **extras)
        for result in results:
            nested = (block for name in requested_fields if name not in EXTRA_FIELDS for block in result[name])
            for each in (result, *nested):
                each["completion"]["ratio"] = each["completion"]["percent"]
        return results


@extend_schema_view(get=operations.list_course_completions_v0)
class CompletionListView(_CompletionViewV0, v1.CompletionListView):
    """One learner's completion of each course that the learner is actively enrolled in."""


class CompletionDetailView(_CompletionViewV0):
    """One learner's completion of one course, by itself instead of on a page."""

    @operations.get_course_completion_v0
    def get(self, request: Request, course_key: str) -> Response:
        key = self.get_course_key(course_key)
        requested_fields = self.get_requested_fields()
        self.get_include_optional()
        user = self.get_requested_user(key)
        self.check_enrolled(user, key)
        block_types = [name for name in requested_fields if name not in EXTRA_FIELDS]
        completion = get_course_completion(user, key, block_types=block_types, with_dates=False)
        return Response(self.serialize([completion], [key], requested_fields)[0])


class CompletionBlockUpdateView(CompletionView):
    """Takes the requester's completion of one block of a course. Nobody can do so for others."""

    @operations.submit_block_completion_v0
    def post(self, request: Request, course_key: str, block_key: str) -> Response:
        key = self.get_course_key(course_key)
        completion = self._completion()
        self.check_enrolled(self.requester, key)
        block = self._block_key(block_key, key)
        if not ENABLE_COMPLETION_TRACKING_SWITCH.is_enabled():
            raise ParseError(_("Completion tracking is switched off."))
        # With the marker that the completion leaves, or not at all.
        with transaction.atomic():
            created = BlockCompletion.objects.submit_completion(self.requester, block, completion)[1]
        return Response(status=status.HTTP_201_CREATED if created else status.HTTP_200_OK)

    def _completion(self) -> float:
        try:
            completion = float(self.parameters.values["completion"])
        except (KeyError, TypeError, ValueError, OverflowError):
            completion = -1.0
        if not 0.0 <= completion <= 1.0:
            raise ParseError(_("completion must be a number from 0.0 to 1.0."))
        return completion

    def _block_key(self, text: str, course_key: CourseKey) -> UsageKey:
        try:
            key = parse_block_key(text, course_key)
        except InvalidKeyError:
            key = ""
        if not has_block(course_key, key):
            raise NotFound(_("The course has no such block."))
        return UsageKey.from_string(key).map_into_course(course_key)
