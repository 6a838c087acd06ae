"""A course as a file."""

from __future__ import annotations

from itertools import chain
from typing import Any

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError, PermissionDenied
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request

from completion_aggregator.api.common import CompletionView
from completion_aggregator.api.filters import read_filter, read_ordering
from completion_aggregator.api.schema import operations
from completion_aggregator.api.throttles import ExpensiveThrottle
from completion_aggregator.exports import EXPORT_FIELDS, Export, ExportType

CONTENT_TYPES = {
    ExportType.CSV: "text/csv; charset=utf-8",
    ExportType.JSONL: "application/jsonl; charset=utf-8",
}


class _ByParameter(DefaultContentNegotiation):
    """The parameter `type` chooses the format; a refusal is always JSON."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class CompletionExportView(CompletionView):
    """Everybody's completion of one course, as CSV or as lines of JSON, streamed; for staff."""

    throttle_classes = (ExpensiveThrottle,)
    extra_fields = EXPORT_FIELDS
    content_negotiation_class = _ByParameter

    @operations.export_course_completion
    def get(self, request: Request, course_key: str) -> StreamingHttpResponse:
        key = self.get_course_key(course_key)
        if not self.is_staff(key):
            raise PermissionDenied(_("Only staff may export a course."))
        kind = self.parameters.get_choice("type", list(ExportType))
        if kind is None:
            raise ParseError(_("{name} must be one of: {names}.").format(name="type", names=", ".join(ExportType)))
        export = Export(
            course_key=key,
            type=ExportType(kind),
            filters=read_filter(self.parameters, key),
            ordering=read_ordering(self.parameters),
            fields=self.get_requested_fields(),
            include_optional=self.get_include_optional(),
        )
        batches = export.batches()
        # What fails at once is answered as an error; later the answer could only break off.
        first = next(batches, [])
        lines = map(export.text, chain([first], batches))
        response = StreamingHttpResponse(chain([export.head], lines), content_type=CONTENT_TYPES[export.type])
        name = "".join(each if each.isalnum() else "-" for each in str(key))
        response["Content-Disposition"] = content_disposition_header(True, f"progress-{name}.{export.type}")
        return response
