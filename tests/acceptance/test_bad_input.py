"""Whatever comes in: a sensible status and JSON, never a 500; an exception in a view fails these tests by itself."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from hypothesis import example, given, settings
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from completion_aggregator.services import aggregate_stale
from tests.acceptance.helpers import (
    BULK,
    DETAIL,
    EVERYTHING,
    EXPLAIN,
    LIST,
    REFRESH,
    ROOT,
    STATS,
    ask,
    checked,
    stored_rows,
)
from tests.factories import COURSE_KEY, key

pytestmark = pytest.mark.anywhere

VALUES = {
    "wrong": "abc",
    "huge number": "9" * 30,
    "too many digits": "9" * 5_000,
    "long": "x" * 50_000,
    "negative": "-1",
    "not whole": "1.5e3",
    "empty": "",
    "blank": " ",
    "unicode": "Ünïcödé 🦉 ٣",
    "nul": "a\0b",
    "invalid utf-8": b"\xff\xfe",
    "newline": "a\nb",
}

#: Statuses of each parameter, in the order of VALUES; as staff.
NAMES = (400, 400, 400, 400, 400, 400, 200, 200, 400, 400, 400, 400)
FLAG = (400, 400, 400, 400, 400, 400, 200, 400, 400, 400, 400, 400)
TEXT = (404, 404, 404, 404, 404, 404, 200, 404, 404, 404, 404, 404)
PAGE = (404, 404, 404, 404, 404, 404, 200, 404, 404, 404, 404, 404)
IDS = (400, 200, 400, 400, 200, 400, 200, 400, 400, 400, 400, 400)
COHORTS = (400, 400, 400, 400, 400, 400, 200, 400, 400, 400, 400, 400)
ROLES = (200, 200, 200, 200, 200, 200, 200, 200, 200, 400, 200, 200)
ANY = (200,) * len(VALUES)

PARAMETERS = {
    LIST: {
        "username": TEXT,
        "requested_fields": NAMES,
        "include_optional": FLAG,
        "mobile_only": FLAG,
        "page": PAGE,
        "page_size": ANY,
        "nonsense": ANY,
    },
    DETAIL: {
        "username": TEXT,
        "requested_fields": NAMES,
        "include_optional": FLAG,
        "user_ids": IDS,
        "root_block": TEXT,
        "cursor": TEXT,
        "page": PAGE,
        "page_size": ANY,
        "nonsense": ANY,
    },
    STATS: {
        "requested_fields": NAMES,
        "cohorts": COHORTS,
        "exclude_roles": ROLES,
        "username": ANY,
        "page": ANY,
        "page_size": ANY,
        "nonsense": ANY,
    },
    EXPLAIN: {
        # Empty: staff who name nobody; blank is a name.
        "username": (*TEXT[:6], 400, *TEXT[7:]),
        "root_block": TEXT,
        "nonsense": ANY,
    },
}
each_parameter = pytest.mark.parametrize(
    ("url", "name"), [(url, name) for url, names in PARAMETERS.items() for name in names]
)


@pytest.fixture
def course(course: Any) -> Any:
    """The small course, cohorted: otherwise any cohort does."""
    course.cohorted = True
    course.save()
    return course


@each_parameter
def test_a_bad_value_of_a_parameter_has_its_status(
    learner: Any, staff: Any, subtests: pytest.Subtests, url: str, name: str
) -> None:
    for (kind, value), status in zip(VALUES.items(), PARAMETERS[url][name], strict=True):
        with subtests.test(kind):
            ask(staff, url, ({"username": "ada"} if url == EXPLAIN else {}) | {name: value}, status=status)


@pytest.mark.parametrize(
    ("url", "name", "good"),
    [
        (LIST, "requested_fields", "chapter"),
        (LIST, "mobile_only", "true"),
        (LIST, "include_optional", "true"),
        (DETAIL, "user_ids", "1"),
        (DETAIL, "requested_fields", EVERYTHING),
        (STATS, "requested_fields", "mean"),
    ],
)
def test_of_a_repeated_parameter_the_last_counts(learner: Any, staff: Any, url: str, name: str, good: str) -> None:
    ask(staff, url, {name: [good, "abc"]}, status=400)
    assert ask(staff, url, {name: ["abc", good]}) == ask(staff, url, {name: good})


@pytest.mark.parametrize("text", ["1_000", "1,2_0", "\u0663", "+-1", "0x10", "1,,2", ","])
@pytest.mark.parametrize(("url", "name"), [(DETAIL, "user_ids"), (STATS, "cohorts")])
def test_what_only_python_takes_for_an_integer_is_refused(
    learner: Any, staff: Any, url: str, name: str, text: str
) -> None:
    ask(staff, url, {name: text}, status=400)


@pytest.mark.parametrize("url", [LIST, DETAIL, STATS, EXPLAIN])
def test_more_parameters_than_django_reads_are_refused_in_json(learner: Any, staff: Any, url: str) -> None:
    ask(staff, f"{url}?{'page=1&' * 1_500}", status=400)


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html,*/*;q=0.8", "application/json; indent=2"])
def test_the_answer_is_json_for_whoever_takes_anything(learner: Any, accept: str) -> None:
    assert ask(learner, DETAIL, {"username": "me"}, headers={"Accept": accept})["pagination"]["count"] == 1
    ask(learner, DETAIL, status=403, headers={"Accept": accept})


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "nonsense", "\u00e4"])
def test_an_answer_in_another_format_is_refused_in_json(learner: Any, accept: str) -> None:
    ask(learner, DETAIL, {"username": "me"}, status=406, headers={"Accept": accept})


@pytest.mark.parametrize("format_", ["api", "xml", "a\0b"])
def test_there_is_no_other_format(learner: Any, format_: str) -> None:
    ask(learner, DETAIL, {"username": "me", "format": format_}, status=404)
    assert ask(learner, DETAIL, {"username": "me", "format": "json"})["pagination"]["count"] == 1


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "NONSENSE"])
@pytest.mark.parametrize("url", [LIST, DETAIL, STATS, EXPLAIN, BULK, REFRESH])
def test_other_methods_are_not_allowed(client: Client, staff: Any, url: str, method: str) -> None:
    client.force_login(staff)

    checked(client.generic(method, url), 405)


# --- bodies ---------------------------------------------------------------------------------------------------------

BODIES = {
    "list": (b"[]", 400),
    "list of lists": (b'[["username", "ada"]]', 400),
    "string": (b'"username"', 400),
    "number": (b"12", 400),
    "null": (b"null", 400),
    "true": (b"true", 400),
    "nested lists": (b"[" * 100_000 + b"]" * 100_000, 400),
    "nested objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400),
    "nested in a field": (b'{"username":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
    "not json": (b"username=ada", 400),
    "half": (b'{"username": "ad', 400),
    "two": (b"{}{}", 400),
    "invalid utf-8": (b'{"username": "\xff\xfe"}', 400),
    "utf-16": ('{"username": "ada"}'.encode("utf-16"), 400),
    "byte order mark": (b"\xef\xbb\xbf{}", 400),
    "nul": (b"\0", 400),
    "nul in a string": (b'{"username": "a\0b"}', 400),
    "nan": (b'{"user_ids": [NaN]}', 400),
    "infinity": (b'{"user_ids": [Infinity]}', 400),
    "too many digits": (b'{"user_ids": [' + b"9" * 5_000 + b"]}", 400),
    "large exponent": (b'{"user_ids": [1e999]}', 400),
    "2 MB": (b'{"nonsense": "' + b"x" * 2_000_000 + b'"}', 413),
    "2 MB of blanks": (b" " * 2_000_000 + b"{}", 413),
    "blanks": (b"  ", 400),
    "empty": (b"", 200),
    "empty object": (b"{}", 200),
    "unknown fields": (b'{"nonsense": {"a": [1, null]}, "": 1, "\\u0000": 2, "\\ud800": 3}', 200),
    "a field twice": (b'{"username": 1, "username": "ada"}', 200),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES)
def test_a_bad_body_has_its_status(learner: Any, staff: Any, body: bytes, status: int) -> None:
    ask(staff, DETAIL, body=body, status=status)


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/x-www-form-urlencoded", b"username=ada", 415),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n',
            415,
        ),
        ("multipart/form-data", b"--x", 415),
        ("text/plain", b"{}", 415),
        ("nonsense", b"{}", 415),
        ("", b"{}", 415),
        ("a/b; c=\u00e4", b"{}", 415),
        ("application/json", b"{}", 200),
        ("application/json; charset=utf-8", b"{}", 200),
        ("application/json; charset=nonsense", b"{}", 200),
        ("application/json; charset=utf-7", b"{}", 200),
        ("application/json; charset=utf-16", b"{}", 200),
        ("application/json; charset=utf-16", "{}".encode("utf-16"), 400),
        ("application/json; charset=zlib", b"{}", 200),
        ("application/json; charset=undefined", b"{}", 200),
    ],
)
def test_a_body_of_another_type_is_refused(
    client: Client, learner: Any, staff: Any, content_type: str, body: bytes, status: int
) -> None:
    client.force_login(staff)

    checked(client.generic("POST", DETAIL, body, content_type=content_type), status)


JSON_VALUES = {
    "number": 1,
    "float": 1.5,
    "true": True,
    "null": None,
    "list": [],
    "object": {},
    "numbers": [1],
    "floats": [1.0],
    "truths": [True],
    "strings": ["abc"],
    "lists": [[1]],
    "nulls": [None],
    "mixed": ["chapter", 1],
    "filled object": {"1": 1},
    "empty": "",
    "digits": "12",
    "unicode": "Ünïcödé 🦉",
    "nul": "a\0b",
    "nuls": ["a\0b"],
    "surrogate": "\ud800",
    "surrogates": ["\ud800"],
    "long": "x" * 100_000,
    "huge number": 10**30,
    "huge numbers": [10**30, -(10**30)],
}


def _statuses(default: int, **others: int) -> dict[str, int]:
    found = dict.fromkeys(JSON_VALUES, default)
    return found | {name.replace("_", " "): status for name, status in others.items()}


TEXT_FIELD = _statuses(400, null=200, empty=200, digits=404, unicode=404, nul=404, surrogate=404, long=404)
FIELDS = {
    "username": TEXT_FIELD,
    "root_block": TEXT_FIELD,
    "requested_fields": _statuses(400, null=200, list=200, empty=200),
    "include_optional": _statuses(400, null=200, true=200, empty=200),
    "user_ids": _statuses(400, null=200, list=200, numbers=200, huge_numbers=200),
    "cursor": _statuses(200),
    "page": _statuses(200),
    "page_size": _statuses(200),
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_bad_value_of_a_field_has_its_status(learner: Any, staff: Any, subtests: pytest.Subtests, name: str) -> None:
    for kind, value in JSON_VALUES.items():
        with subtests.test(kind):
            ask(staff, DETAIL, body={name: value}, status=FIELDS[name][kind])


LIST_OF_NAMES = _statuses(400, null=200, list=200, empty=200, strings=200, digits=200, unicode=200, long=200)
BULK_FIELDS = {
    "users": LIST_OF_NAMES,
    "user_ids": FIELDS["user_ids"],
    "course_keys": _statuses(400),
    "include_optional": FIELDS["include_optional"],
}
REFRESH_FIELDS = {
    # Names nobody: the whole course.
    "username": TEXT_FIELD | {"null": 202, "empty": 202},
    "requested_fields": FIELDS["requested_fields"],
    "include_optional": FIELDS["include_optional"],
}


@pytest.mark.parametrize("name", BULK_FIELDS)
def test_a_bad_value_of_a_field_of_bulk_has_its_status(
    learner: Any, staff: Any, subtests: pytest.Subtests, name: str
) -> None:
    good = {"users": ["me"], "user_ids": [learner.pk], "course_keys": [str(COURSE_KEY)]}
    for kind, value in JSON_VALUES.items():
        with subtests.test(kind):
            ask(staff, BULK, body=good | {name: value}, status=BULK_FIELDS[name][kind])


@pytest.mark.parametrize("name", REFRESH_FIELDS)
@pytest.mark.parametrize("kind", JSON_VALUES)
def test_a_bad_value_of_a_field_of_refresh_has_its_status(
    client: Client, learner: Any, staff: Any, name: str, kind: str
) -> None:
    client.force_login(staff)
    body = json.dumps({"username": "ada"} | {name: JSON_VALUES[kind]})
    before = stored_rows()

    checked(client.post(REFRESH, body, content_type="application/json"), REFRESH_FIELDS[name][kind])
    assert (stored_rows() == before) == (REFRESH_FIELDS[name][kind] >= 400)


#: Where a learner's body is read, but names nobody or no course; refresh has no user_ids to be wrong.
BODIES_OF_LEARNERS = {
    BULK: {kind: 400 if status == 200 else status for kind, (_, status) in BODIES.items()},
    REFRESH: {kind: 403 if status == 200 else status for kind, (_, status) in BODIES.items()}
    | {"large exponent": 403, "a field twice": 200},
}


@pytest.mark.parametrize("url", BODIES_OF_LEARNERS)
@pytest.mark.parametrize("kind", BODIES)
def test_a_bad_body_changes_nothing(client: Client, learner: Any, url: str, kind: str) -> None:
    client.force_login(learner)
    before = stored_rows()
    status = BODIES_OF_LEARNERS[url][kind]

    checked(client.post(url, BODIES[kind][0], content_type="application/json"), status)
    assert (stored_rows() == before) == (status >= 400)


# --- keys in the path -----------------------------------------------------------------------------------------------

BAD_KEYS = {
    "no key": "abc",
    "slash": "/",
    "slashes": "///",
    "half a key": "course-v1:Org+Course",
    "prefix only": "course-v1:",
    "library": "library-v1:Org+Lib",
    "new library": "lib:Org:lib",
    "block": key("html/h1"),
    "old block": "i4x://Org/Course/html/h1",
    "newline at the end": f"{COURSE_KEY}\n",
    "newline inside": "course-v1:Org+Cou\nrse+Run",
    "newline": "\n",
    "nul": "\0",
    "nul inside": "course-v1:Org+Cou\0rse+Run",
    "nul at the end": f"{COURSE_KEY}\0",
    "blank": " ",
    "blank at the end": f"{COURSE_KEY} ",
    "5,000 characters": "x" * 5_000,
    "unicode": "Ünïcödé 🦉",
    "owl in a key": "course-v1:Org+🦉+Run",
    "old key with two slashes": "Org/Course/Run//",
    "old key with four parts": "Org/Course/Run/More",
    "wrong characters": "course-v1:O'r;g+C%+R?",
}
UNKNOWN_KEYS = {
    "5,000 characters in a key": "course-v1:" + "x" * 5_000 + "+C+R",
    "letters of all kinds": "course-v1:Örg+课程+Ран",
    "unknown old key": "No/Such/Course",
    "old key of dots": "../../admin",
    "ccx": "ccx-v1:Org+Course+Run+ccx@1",
}


@pytest.mark.parametrize("endpoint", ["course", "stats", "explain"])
def test_what_is_no_course_key_is_not_found(learner: Any, staff: Any, subtests: pytest.Subtests, endpoint: str) -> None:
    for kind, text in BAD_KEYS.items():
        with subtests.test(kind):
            for user in (staff, learner):
                for end in ("", "/"):
                    ask(user, f"{ROOT}{endpoint}/{quote(text)}{end}", {"username": "me"}, status=404)


@pytest.mark.parametrize("endpoint", ["course", "refresh"])
def test_what_is_no_course_key_is_not_found_by_post(learner: Any, subtests: pytest.Subtests, endpoint: str) -> None:
    for kind, text in BAD_KEYS.items():
        with subtests.test(kind):
            ask(learner, f"{ROOT}{endpoint}/{quote(text)}/", body={"username": "me"}, status=404)


@pytest.mark.parametrize("text", UNKNOWN_KEYS.values(), ids=UNKNOWN_KEYS)
def test_a_course_that_nobody_knows_is_empty(learner: Any, staff: Any, text: str) -> None:
    query = {"requested_fields": "mean"}
    assert ask(staff, f"{ROOT}course/{quote(text)}/", query)["results"] == []
    (result,) = ask(staff, f"{ROOT}stats/{quote(text)}/")["results"]
    assert result == {"course_key": text, "mean_completion": {"earned": 0.0, "possible": 0.0, "percent": 0.0}}
    ask(learner, f"{ROOT}course/{quote(text)}/", {"username": "me"}, status=404)
    ask(learner, f"{ROOT}explain/{quote(text)}/", {"username": "me"}, status=404)
    ask(learner, f"{ROOT}refresh/{quote(text)}/", body={"username": "me"}, status=404)
    ask(staff, f"{ROOT}refresh/{quote(text)}/", body={}, status=404)
    ask(learner, f"{ROOT}stats/{quote(text)}/", status=403)


@pytest.mark.parametrize("end", ["%FF%FE", "%C3", "%ED%A0%80", "%"])
@pytest.mark.parametrize("endpoint", ["course", "stats", "explain"])
def test_a_path_that_is_not_utf_8_is_not_found(client: Client, staff: Any, endpoint: str, end: str) -> None:
    client.force_login(staff)

    checked(client.get(f"{ROOT}{endpoint}/{COURSE_KEY}{end}/"), 404)


# --- anything -------------------------------------------------------------------------------------------------------

PREFIXES = ("course-v1:", "block-v1:", "block-v1:Org+Course+Run+type@html+block@", "i4x://Org/Course/", "lb:Org:", "1,")
TEXTS = st.text() | st.builds(str.__add__, st.sampled_from(PREFIXES), st.text())
ANY_TEXT = st.text(st.characters(exclude_categories=()))
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(ANY_TEXT, values, max_size=4),
    max_leaves=8,
)


@pytest.fixture
def clients(learner: Any, staff: Any) -> list[Client]:
    """A learner who is not up to date, and staff."""
    aggregate_stale()
    found = []
    for user in (learner, staff):
        client = Client()
        client.force_login(user)
        found.append(client)
    return found


def _survives(response: Any) -> None:
    assert response.status_code < 500
    checked(response, response.status_code)


@each_parameter
def test_any_text_in_any_parameter_is_answered(clients: list[Client], url: str, name: str) -> None:
    @settings(max_examples=15)
    @given(TEXTS)
    def run(text: str) -> None:
        for client in clients:
            _survives(client.get(url, {"username": "ada"} | {name: text}))

    run()


@pytest.mark.parametrize("name", ["username", "root_block", "requested_fields", "include_optional", "user_ids"])
def test_any_json_in_any_field_is_answered(clients: list[Client], name: str) -> None:
    @settings(max_examples=40)
    @given(ANY_JSON)
    def run(value: Any) -> None:
        for client in clients:
            body = json.dumps({"username": "ada"} | {name: value})
            _survives(client.post(DETAIL, body, content_type="application/json"))

    run()


@pytest.mark.parametrize("name", ["users", "user_ids", "course_keys", "include_optional"])
def test_any_json_in_any_field_of_bulk_is_answered(clients: list[Client], name: str) -> None:
    @settings(max_examples=40)
    @given(ANY_JSON)
    def run(value: Any) -> None:
        for client in clients:
            body = json.dumps({"users": ["me"], "course_keys": [str(COURSE_KEY)]} | {name: value})
            _survives(client.post(BULK, body, content_type="application/json"))

    run()


@pytest.mark.parametrize("name", ["username", "requested_fields", "include_optional"])
def test_any_json_in_any_field_of_refresh_is_answered(clients: list[Client], name: str, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_REFRESH_RATE = None

    @hypothesis_settings(max_examples=40)
    @given(ANY_JSON)
    def run(value: Any) -> None:
        for client in clients:
            body = json.dumps({"username": "ada"} | {name: value})
            _survives(client.post(REFRESH, body, content_type="application/json"))

    run()


def test_any_json_is_answered(clients: list[Client]) -> None:
    @settings(max_examples=40)
    @given(ANY_JSON)
    def run(value: Any) -> None:
        for client in clients:
            for url in (DETAIL, BULK, REFRESH):
                _survives(client.post(url, json.dumps(value), content_type="application/json"))

    run()


def test_any_bytes_are_answered(clients: list[Client]) -> None:
    @settings(max_examples=40)
    @given(st.binary())
    def run(value: bytes) -> None:
        for client in clients:
            for url in (DETAIL, BULK, REFRESH):
                _survives(client.post(url, value, content_type="application/json"))

    run()


@pytest.mark.parametrize("endpoint", ["course", "stats", "explain"])
def test_any_key_in_the_path_is_answered(clients: list[Client], endpoint: str) -> None:
    @settings(max_examples=60)
    @given(st.text(min_size=1) | st.builds(str.__add__, st.sampled_from(PREFIXES), TEXTS))
    @example("course-v1:a+b+c+branch@d")
    @example("slashes:a+b+c")
    @example("ccx-v1:a+b+c+ccx@x")
    def run(text: str) -> None:
        for client in clients:
            _survives(client.get(f"{ROOT}{endpoint}/{quote(text, safe='')}/", {"username": "ada"}))

    run()
