"""Reading parameters: from the query of a GET, or from the JSON object of a POST.

Whatever is no sensible value is a ParseError (400) that names the parameter.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, cast

from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.request import Request

from completion_aggregator.utils import is_storable

#: A question about more learners at once is refused.
MAX_IDS = 10_000
#: What is asked for in bulk.
MAX_USERS = 1_000
MAX_COURSES = 100
_TRUE = {"true", "1"}
_FALSE = {"false", "0", ""}
# int() takes more: 1_000, and the digits of all scripts.
_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*")
_NUMBER = re.compile(r"([0-9]{1,20}(\.[0-9]{1,20})?|\.[0-9]{1,20})([eE][+-]?[0-9]{1,3})?")


class Parameters:
    """The parameters of one request."""

    def __init__(self, request: Request) -> None:
        self.is_body = request.method == "POST"
        # QuestionParser lets nothing but an object through.
        self.values: Mapping[str, Any] = cast(dict[str, Any], request.data) if self.is_body else request.query_params

    def get_text(self, name: str) -> str | None:
        """Return a text; None when it is absent or empty."""
        value = self.values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise ParseError(_("{name} must be a text.").format(name=name))
        return value

    def get_flag(self, name: str) -> bool:
        value = self.values.get(name)
        value = False if value is None else value
        text = str(value).lower() if isinstance(value, str | bool) else "?"
        if text not in _TRUE | _FALSE:
            raise ParseError(_("{name} must be true or false.").format(name=name))
        return text in _TRUE

    def get_names(self, name: str, *, allowed: Collection[str] | None = None) -> list[str]:
        """Return names, each once, as given: comma separated, or in a body as a list, too.

        Args:
            allowed: the names that may be given; None: any.
        """
        value = self.values.get(name)
        if isinstance(value, str):
            value = value.split(",")
        if value is None:
            value = []
        if not isinstance(value, list) or not all(isinstance(each, str) and is_storable(each) for each in value):
            raise ParseError(_("{name} must be a list of names.").format(name=name))
        names = list(dict.fromkeys(each.strip() for each in value if each.strip()))
        unknown = [each for each in names if allowed is not None and each not in allowed]
        if unknown:
            shown = ", ".join(sorted(unknown))[:1_000]
            raise ParseError(_("{name} knows nothing of: {unknown}.").format(name=name, unknown=shown))
        return names

    def get_choice(self, name: str, allowed: Collection[str]) -> str | None:
        """Return one of the names that may be given; None when it is absent or empty."""
        text = self.get_text(name)
        if text is not None and text not in allowed:
            raise ParseError(_("{name} must be one of: {names}.").format(name=name, names=", ".join(allowed)))
        return text

    def get_search(self, name: str, *, max_length: int) -> str:
        """Return what is to be looked for; an empty text when it is absent."""
        text = self.get_text(name) or ""
        if len(text) > max_length or not is_storable(text):
            raise ParseError(
                _("{name} must be a text of at most {limit} characters.").format(name=name, limit=max_length)
            )
        return text.strip()

    def get_number(self, name: str, *, maximum: int) -> float | None:
        """Return a number from 0 to `maximum`; None when the parameter is absent or empty."""
        value = self.values.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            value = float(value)
        if type(value) not in (int, float) or not 0 <= value <= maximum:
            raise ParseError(_("{name} must be a number from 0 to {limit}.").format(name=name, limit=maximum))
        return float(value)

    def get_ids(self, name: str, *, separators: str = ",") -> set[int] | None:
        """Return ids; None when the parameter is absent. They may be ids that no row can have.

        In a query they are separated by any of the separators; in a body they are a list of integers.
        """
        value = self.values.get(name)
        if value is None or (value == "" and not self.is_body):
            return None
        if not self.is_body:
            value = _integers(re.split(f"[{re.escape(separators)}]", value))
        if not isinstance(value, list) or not all(type(each) is int for each in value):
            raise ParseError(_("{name} must be integers.").format(name=name))
        if len(value) > MAX_IDS:
            raise ParseError(_("{name} may name at most {limit} at once.").format(name=name, limit=MAX_IDS))
        return set(value)


def _integers(texts: list[str]) -> list[int] | None:
    if not all(_INTEGER.fullmatch(text) for text in texts):
        return None
    try:
        return [int(text) for text in texts]
    except ValueError:  # thousands of digits
        return None
