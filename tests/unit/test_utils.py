"""Keys: what is read, what is refused, and how blocks are known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opaque_keys.edx.keys import CourseKey, UsageKey

from completion_aggregator.exceptions import InvalidKeyError
from completion_aggregator.utils import is_storable, parse_block_key, parse_course_key

COURSE = "course-v1:Org+Course+Run"
OLD_COURSE = "Org/Course/Run"
BLOCK = "block-v1:Org+Course+Run+type@html+block@h1"
OLD_BLOCK = "i4x://Org/Course/html/h1"
CCX_BLOCK = "ccx-block-v1:Org+Course+Run+ccx@1+type@html+block@h1"
VERSION = "branch@draft-branch+version@5dd7a6f3f1d6a0a8a1d0f1aa"

texts = st.text() | st.text(st.characters(codec=None, exclude_categories=())) | st.from_regex(r"[a-z0-9:/+@$. -]*")


@pytest.mark.parametrize("text", [COURSE, OLD_COURSE, "course-v1:Ünï+Cödé+2025", "ccx-v1:Org+Course+Run+ccx@1"])
def test_course_keys_of_every_form_keep_their_text(text: str) -> None:
    assert str(parse_course_key(text)) == text


def test_branch_and_version_of_a_course_key_are_left_out() -> None:
    assert parse_course_key(f"{COURSE}+{VERSION}") == CourseKey.from_string(COURSE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "course",
        "Org/Course",
        "course-v1:Org+Course",
        "library-v1:Org+Library",
        "lib:Org:Library",
        BLOCK,
        "course-v1:version@519665f6223ebd6980884f2b",
        "course-v1:branch@b+version@519665f6223ebd6980884f2b",
        f"{COURSE}\0",
        f"{COURSE}\n",
        f"{COURSE}\ud800",
        "Org/Course/Run\0",
        "Org/Course/\udfff",
    ],
)
def test_what_is_no_course_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidKeyError, match=r"^Invalid course key\.$"):
        parse_course_key(text)


@pytest.mark.parametrize(
    ("text", "course", "known_as"),
    [
        (BLOCK, COURSE, BLOCK),
        (f"block-v1:Org+Course+Run+{VERSION}+type@html+block@h1", COURSE, BLOCK),
        (OLD_BLOCK, OLD_COURSE, OLD_BLOCK),
        (OLD_BLOCK, COURSE, BLOCK),
        (
            "ccx-block-v1:O+C+R+ccx@1+type@html+block@h",
            "ccx-v1:O+C+R+ccx@1",
            "ccx-block-v1:O+C+R+ccx@1+type@html+block@h",
        ),
    ],
)
def test_a_block_is_known_by_the_text_of_its_key_in_the_course(text: str, course: str, known_as: str) -> None:
    assert parse_block_key(text, parse_course_key(course)) == known_as


def test_an_old_key_is_the_same_text_with_and_without_its_run() -> None:
    course_key = parse_course_key(OLD_COURSE)
    without = UsageKey.from_string(OLD_BLOCK)
    with_run = without.map_into_course(course_key)

    assert without != with_run
    assert parse_block_key(str(without), course_key) == parse_block_key(str(with_run), course_key)


@pytest.mark.parametrize("course", [COURSE, OLD_COURSE])
@pytest.mark.parametrize(
    "text",
    [
        "block-v1:Org+Course+Other+type@html+block@h1",
        "block-v1:Other+Course+Run+type@html+block@h1",
        "i4x://Other/Course/html/h1",
        "i4x://Org/Other/html/h1",
        "lb:Org:Library:html:h1",
        "lib-block-v1:Org+Course+type@html+block@h1",
        CCX_BLOCK,
    ],
)
def test_a_key_of_something_else_is_refused(text: str, course: str) -> None:
    with pytest.raises(InvalidKeyError, match=r"^Not a block of this course\.$"):
        parse_block_key(text, parse_course_key(course))


def test_an_old_key_that_no_block_of_a_new_course_can_have_is_refused() -> None:
    text = f"{OLD_BLOCK}%"

    assert parse_block_key(text, parse_course_key(OLD_COURSE)) == text
    with pytest.raises(InvalidKeyError, match=r"^Not a block of this course\.$"):
        parse_block_key(text, parse_course_key(COURSE))


@pytest.mark.parametrize(
    "text", ["", "h1", COURSE, "i4x://", f"{BLOCK}\0", f"{BLOCK}\n", f"{BLOCK}\ud800", f"{OLD_BLOCK}\0"]
)
def test_what_is_no_block_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidKeyError, match=r"^Invalid block key\.$"):
        parse_block_key(text, parse_course_key(COURSE))


@given(texts)
def test_any_text_is_a_course_key_or_refused(text: str) -> None:
    try:
        key = parse_course_key(text)
    except InvalidKeyError:
        return
    assert parse_course_key(str(key)) == key


@given(
    texts
    | texts.map(lambda text: BLOCK + text)
    | texts.map(lambda text: OLD_BLOCK + text)
    | texts.map(lambda text: f"lb:{text}:html:x"),
    st.booleans(),
)
def test_any_text_is_a_block_key_or_refused(text: str, is_old: bool) -> None:
    course_key = parse_course_key(OLD_COURSE if is_old else COURSE)
    try:
        known_as = parse_block_key(text, course_key)
    except InvalidKeyError:
        return
    assert parse_block_key(known_as, course_key) == known_as


@pytest.mark.parametrize(
    ("text", "expected"), [("", True), ("é🎓\n", True), ("a\0b", False), ("\ud800", False), ("a\udfff", False)]
)
def test_only_what_every_database_takes_is_storable(text: str, expected: bool) -> None:
    assert is_storable(text) is expected
