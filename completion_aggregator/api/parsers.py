"""Reading the body of a request without ever failing on it."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser

#: 10,000 user ids take a tenth of it. Unit: bytes.
MAX_BODY = 1_000_000


class BodyTooLargeError(APIException):
    """The body is larger than any sensible question."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "body_too_large"

    def __init__(self) -> None:
        super().__init__(_("The body may have at most {limit} bytes.").format(limit=MAX_BODY))


class QuestionParser(JSONParser):
    """JSON, of limited size and depth; in UTF-8, whatever charset the request names (RFC 8259, section 8.1)."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        body = stream.read(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise BodyTooLargeError
        try:
            question = super().parse(BytesIO(body), media_type, {"encoding": "utf-8"})
        except RecursionError:
            raise ParseError(_("The body is nested too deeply.")) from None
        if not isinstance(question, dict):
            raise ParseError(_("The body must be a JSON object."))
        return question
