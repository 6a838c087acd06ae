"""What is given any bytes: `python -m tests.fuzz.target NAME [FILE or DIRECTORY] [options of libFuzzer]`.

A crash is any exception but the ones that callers are promised.
"""

from __future__ import annotations

import gzip
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import atheris
import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
with atheris.instrument_imports(include=["completion_aggregator", "opaque_keys", "sample_lms"]):
    django.setup()
    from completion_aggregator.api import filters
    from completion_aggregator.api.parameters import Parameters
    from completion_aggregator.api.parsers import BodyTooLargeError, QuestionParser
    from completion_aggregator.exceptions import InvalidCursorError, InvalidKeyError
    from completion_aggregator.selectors.roster import ORDERINGS, _Place
    from completion_aggregator.utils import parse_block_key, parse_course_key
    from sample_lms.lms import SampleLMS
    from sample_lms.olx import OlxError, read_course

from django.core.exceptions import SuspiciousOperation
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

COURSE_KEY = parse_course_key("course-v1:Org+Course+Run")
TEXTS = ("username", "root_block", "search", "status", "nonsense")


def olx(data: bytes) -> None:
    """Read a course whose files are these bytes."""
    root, course, policy, *_ = *data.split(b"\n\0"), b"", b"", b""
    files = {"course.xml": root, "course/R.xml": course, "chapter/a.xml": course, "policies/R/policy.json": policy}
    with tempfile.TemporaryDirectory() as directory:
        for name, content in files.items():
            path = Path(directory, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        with suppress(OlxError):
            read_course(Path(directory))


def archive(data: bytes) -> None:
    """Read an archive: these bytes, and these bytes compressed."""
    with tempfile.TemporaryDirectory() as directory:
        for name, content in (("raw.tar.gz", data), ("packed.tar.gz", gzip.compress(data, 1))):
            path = Path(directory, name)
            path.write_bytes(content)
            with suppress(OlxError):
                read_course(path)
        assert {each.name for each in Path(directory).iterdir()} == {"raw.tar.gz", "packed.tar.gz"}


def keys(data: bytes) -> None:
    # What is no UTF-8 becomes halves of surrogate pairs.
    text = data.decode("utf-8", "surrogateescape")
    with suppress(InvalidKeyError):
        key = parse_course_key(text)
        assert parse_course_key(str(key)) == key
    with suppress(InvalidKeyError):
        block_key = parse_block_key(text, COURSE_KEY)
        assert parse_block_key(block_key, COURSE_KEY) == block_key


def read(request: Request) -> None:
    """Read every parameter in every way."""
    parameters = Parameters(request)
    readers: list[Callable[[], Any]] = [
        lambda: filters.read_filter(parameters, COURSE_KEY),
        lambda: filters.read_ordering(parameters),
        lambda: parameters.get_flag("include_optional"),
        lambda: parameters.get_names("requested_fields", allowed={"chapter", "mean"}),
        lambda: parameters.get_ids("user_ids"),
        *(lambda name=name: parameters.get_text(name) for name in TEXTS),  # type: ignore[misc]
    ]
    for reader in readers:
        with suppress(ParseError):
            reader()


def query(data: bytes) -> None:
    request = Request(APIRequestFactory().generic("GET", "/", QUERY_STRING=data.decode("latin-1")))
    with suppress(SuspiciousOperation):
        read(request)


def body(data: bytes) -> None:
    request = APIRequestFactory().generic("POST", "/", data, content_type="application/json")
    with suppress(ParseError, BodyTooLargeError):
        read(Request(request, parsers=[QuestionParser()]))


def cursor(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for ordering in ORDERINGS:
        with suppress(InvalidCursorError):
            _Place.read(text, ordering)


TARGETS = {each.__name__: each for each in (olx, archive, keys, query, body, cursor)}

if __name__ == "__main__":
    name = sys.argv.pop(1)
    # Nothing here is about the database: one cohort is known.
    with patch.object(SampleLMS, "cohorts", return_value={1: "Red"}):
        atheris.Setup(sys.argv, TARGETS[name])
        atheris.Fuzz()
