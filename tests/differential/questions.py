"""What both sides are asked: some hundred requests, good and bad, by all kinds of people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple
from urllib.parse import urlencode

from tests.differential.world import CHANGED, GHOST, LONELY, MAIN, NEVER, NOTHING, OLD, Course

ROOT = "/api/completion"
PEOPLE = (None, "ada", "bob", "cleo", "dora", "eve", "fred", "gina", "hugo", "boss", "zoe.o'hara@x+y")
COURSES = (MAIN.key, OLD.key, NOTHING.key, NEVER.key, CHANGED.key, LONELY.key, GHOST)
FIELDS = ("chapter", "sequential", "vertical", "username", "mean", "chapter,sequential,vertical,username,mean")
ODD_FIELDS = ("course", "", "nonsense", "chapter,html,zzz", " chapter , vertical ", "chapter,chapter", "é", "a\0b")
ODD_KEYS = ("nonsense", "course-v1:Diff+Main", "library-v1:Diff+Main", "Diff/Old", "course-v1:diff+main+1", "é")


class Question(NamedTuple):
    #: None: nobody is logged in.
    who: str | None
    path: str
    query: dict[str, str] = {}
    method: str = "GET"
    #: Of a POST; a text is sent as it is, anything else as JSON.
    body: Any = None

    @property
    def is_about_all(self) -> bool:
        """Whether it asks for everybody in a course, if it may."""
        return self.who == "boss" and "username" not in self.parameters and self.path.startswith(f"{ROOT}/v1/course/")

    @property
    def parameters(self) -> dict[str, Any]:
        return self.body if isinstance(self.body, dict) else self.query

    def as_json(self) -> dict[str, Any]:
        return {"as": self.who, "method": self.method, "path": self.path, "query": self.query, "body": self.body}

    def __str__(self) -> str:
        asked = f"?{urlencode(self.query)}" if self.query else ""
        body = "" if self.body is None else f" {json.dumps(self.body)[:200]}"
        return f"{self.who or 'nobody'}: {self.method} {self.path}{asked}{body}"


def all_questions() -> list[Question]:
    """Return all, each once."""
    found = [*_lists(), *_details(), *_posts(), *_stats(), *_v0_details(), *_v0_completions(), *_progress_bars()]
    return list({str(question): question for question in found}.values())


def _usernames(who: str | None) -> Iterator[dict[str, str]]:
    yield {}
    for name in (who or "ada", (who or "ada").upper(), "ada", "bob", "nobody-at-all", ""):
        yield {"username": name}


def _lists() -> Iterator[Question]:
    for version in ("v0", "v1"):
        path = f"{ROOT}/{version}/course/"
        for who in PEOPLE:
            for query in _usernames(who):
                yield Question(who, path, query)
        for who, fields in product(("ada", "bob", "hugo"), (*FIELDS, *ODD_FIELDS)):
            yield Question(who, path, {"username": who, "requested_fields": fields})
            yield Question(who, path, {"username": who, "requested_fields": fields, "include_optional": "true"})
        for query in (
            *({"include_optional": value} for value in ("true", "True", "false", "1", "0", "", "junk")),
            *({"mobile_only": value} for value in ("true", "false", "", "junk")),
            *({"page": value} for value in ("1", "2", "last", "0", "junk", "99")),
            *({"page_size": value} for value in ("1", "2", "100", "0", "-1", "junk", "1000000")),
            {"page_size": "2", "page": "2", "requested_fields": "chapter"},
        ):
            yield Question("ada", path, {"username": "ada"} | query)
        for method in ("POST", "PUT", "DELETE"):
            yield Question("ada", path, {}, method, {"username": "ada"})


def _details() -> Iterator[Question]:
    for who, key in product(PEOPLE, COURSES):
        for query in _usernames(who) if key == MAIN.key else ({}, {"username": who or "ada"}):
            yield Question(who, f"{ROOT}/v1/course/{key}/", query)
    for key in ODD_KEYS:
        yield Question("boss", f"{ROOT}/v1/course/{key}/")
        yield Question("ada", f"{ROOT}/v1/course/{key}/", {"username": "ada"})
    for who, course in product(("ada", "bob"), (MAIN, OLD, NOTHING, NEVER, CHANGED)):
        for fields in FIELDS:
            yield Question(who, _detail(course), {"username": who, "requested_fields": fields})
    for who, query in (("ada", {"username": "ada"}), ("bob", {"username": "bob"}), ("boss", {"page_size": "100"})):
        for asked in _narrowed():
            yield Question(who, _detail(MAIN), query | asked)
    for course in (OLD, NEVER, CHANGED):
        yield Question("boss", _detail(course), {"requested_fields": FIELDS[-1], "include_optional": "true"})
    for query in ({"page": "2"}, {"page": "3"}, {"page": "99"}, {"page_size": "5", "page": "2"}):
        yield Question("boss", _detail(MAIN), query)
    for method in ("PUT", "DELETE"):
        yield Question("ada", _detail(MAIN), {}, method, {})


def _narrowed() -> Iterator[dict[str, str]]:
    """Give the parameters of a detail but username and pages."""
    for fields in (*FIELDS, *ODD_FIELDS):
        yield {"requested_fields": fields}
        yield {"requested_fields": fields, "include_optional": "true"}
    for ids in ("1", "2", "1,2", "2.1", "9", "999", "1,999", "", "abc", "1,abc", "-1", "9" * 30):
        yield {"user_ids": ids, "requested_fields": "username"}
    for name in ("chapter/c1", "chapter/c2", "sequential/s1", "vertical/v3", "html/h2", "html/zzz"):
        yield {"root_block": str(MAIN.usage_key(name)), "requested_fields": "chapter,vertical"}
    for text in ("nonsense", str(NEVER.usage_key("chapter/c1")), "", str(MAIN.usage_key("course/course"))):
        yield {"root_block": text}


def _posts() -> Iterator[Question]:
    bodies: tuple[Any, ...] = (
        {},
        {"username": "ada"},
        {"username": "ada", "requested_fields": ["chapter", "username"]},
        {"username": "ada", "requested_fields": "chapter"},
        {"user_ids": [1, 2, 999]},
        {"user_ids": []},
        {"user_ids": [1], "requested_fields": ["vertical"], "include_optional": True},
        {"username": "ada", "root_block": str(MAIN.usage_key("chapter/c1"))},
        {"user_ids": "12"},
        {"user_ids": ["a"]},
        {"user_ids": 1},
        {"username": 1},
        {"requested_fields": ["nonsense"]},
        {"requested_fields": [1]},
        [],
        "junk",
        "",
    )
    for who, body in product(("boss", "ada", "bob", "eve", None), bodies):
        yield Question(who, _detail(MAIN), {}, "POST", body)
    yield Question("boss", f"{ROOT}/v1/course/nonsense/", {}, "POST", {})


def _stats() -> Iterator[Question]:
    for who, key in product(PEOPLE, (MAIN.key, OLD.key, NEVER.key)):
        yield Question(who, f"{ROOT}/v1/stats/{key}/")
    for key in (*COURSES, *ODD_KEYS):
        yield Question("boss", f"{ROOT}/v1/stats/{key}/", {})
    roles = ("", "staff", "beta", "beta_testers", "instructor", "staff,beta", "nonsense")
    cohorts = ("", "1", "2", "3", "1,2", "abc", "99", "-1")
    for query in (
        *({"exclude_roles": value} for value in roles),
        *({"cohorts": value} for value in cohorts),
        *({"cohorts": "1", "exclude_roles": value} for value in roles[:3]),
        *({"requested_fields": value} for value in (*FIELDS, *ODD_FIELDS)),
    ):
        yield Question("boss", f"{ROOT}/v1/stats/{MAIN.key}/", query)
    yield Question("boss", f"{ROOT}/v1/stats/{OLD.key}/", {"cohorts": "1"})
    yield Question("ada", f"{ROOT}/v1/stats/{MAIN.key}/", {"cohorts": "1"})
    yield Question("boss", f"{ROOT}/v1/stats/{MAIN.key}/", {}, "POST", {})


def _v0_details() -> Iterator[Question]:
    for who, key in product(PEOPLE, COURSES):
        for query in _usernames(who) if key == MAIN.key else ({},):
            yield Question(who, f"{ROOT}/v0/course/{key}/", query)
    for key in ODD_KEYS:
        yield Question("ada", f"{ROOT}/v0/course/{key}/")
    for who, fields in product(("ada", "bob"), (*FIELDS, *ODD_FIELDS)):
        yield Question(who, f"{ROOT}/v0/course/{MAIN.key}/", {"requested_fields": fields})
        yield Question(who, f"{ROOT}/v0/course/{MAIN.key}/", {"requested_fields": fields, "include_optional": "true"})
    for query in ({"user_ids": "1"}, {"root_block": str(MAIN.usage_key("chapter/c1"))}, {"root_block": "nonsense"}):
        yield Question("ada", f"{ROOT}/v0/course/{MAIN.key}/", query)
    for method in ("POST", "PUT"):
        yield Question("ada", f"{ROOT}/v0/course/{MAIN.key}/", {}, method, {})


def _v0_completions() -> Iterator[Question]:
    def post(who: str | None, key: str, block: str, body: Any, query: str = "", method: str = "POST") -> Question:
        return Question(who, f"{ROOT}/v0/course/{key}/blocks/{block}/{query}", {}, method, body)

    block = str(MAIN.usage_key("html/h2"))
    for who in PEOPLE:
        yield post(who, MAIN.key, block, {"completion": 1.0})
    values: tuple[Any, ...] = (0, 0.0, 0.5, 1, "0.25", "1", True, 2, -0.1, 1.01, "x", "", None, [1], {}, "nan", "inf")
    for value in values:
        yield post("ada", MAIN.key, block, {"completion": value})
    for body in ({}, [], "junk", "", 1.0, '{"completion": NaN}', {"completion": 1, "username": "bob"}):
        yield post("ada", MAIN.key, block, body)
    yield post("boss", MAIN.key, block, {"completion": 1, "username": "ada"})
    yield post("boss", MAIN.key, block, {"completion": 1}, "?username=ada")
    for name in ("html/h5", "html/zzz", "vertical/v1", "discussion/d1", "course/course"):
        yield post("ada", MAIN.key, str(MAIN.usage_key(name)), {"completion": 1})
    yield post("ada", MAIN.key, "nonsense", {"completion": 1})
    yield post("ada", "nonsense", block, {"completion": 1})
    yield post("ada", MAIN.key, str(NEVER.usage_key("html/h1")), {"completion": 1})
    yield post("ada", NEVER.key, block, {"completion": 1})
    yield post("ada", CHANGED.key, str(CHANGED.usage_key("html/h2")), {"completion": 1})
    yield post("ada", LONELY.key, str(LONELY.usage_key("html/h1")), {"completion": 1})
    yield post("ada", GHOST, f"block-v1:{GHOST.removeprefix('course-v1:')}+type@html+block@h1", {"completion": 1})
    for method in ("GET", "PUT", "DELETE"):
        yield post("ada", MAIN.key, block, None if method == "GET" else {"completion": 1}, method=method)


def _progress_bars() -> Iterator[Question]:
    for who, key in product(PEOPLE, COURSES):
        yield Question(who, f"{ROOT}/progress_bar/{key}/")
    chapters = ("c1", "c2", "c3", "zzz", "v1", "a b", "é", *(str(MAIN.usage_key(f"chapter/c{n}")) for n in (1, 2)))
    for who, chapter in product(("ada", "bob", "eve", None), chapters):
        yield Question(who, f"{ROOT}/progress_bar/{MAIN.key}/{chapter}/")
    for who, course, chapter in product(("ada", "bob"), (OLD, NOTHING, NEVER, CHANGED), ("c1", "c2", "c3")):
        yield Question(who, f"{ROOT}/progress_bar/{course.key}/{chapter}/")
    for key in ODD_KEYS:
        yield Question("ada", f"{ROOT}/progress_bar/{key}/")


def _detail(course: Course) -> str:
    return f"{ROOT}/v1/course/{course.key}/"
