"""What completion is, said a second time and as naively as can be: by following every path through a course.

It keeps what was done to the site in plain Python, and shares no code with the engine or the sample LMS's adapter.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

ROOT = "course/course"
AGGREGATORS = {"course", "chapter", "sequential", "vertical", "library_content"}
EXCLUDED = {"discussion"}
#: Earned, possible, optional earned, optional possible, and when the newest completion below was written.
Values = tuple[float, int, float, int, datetime | None]


@dataclass
class Part:
    """A block of a published course."""

    children: list[str] = field(default_factory=list)
    staff_only: bool = False
    optional: bool = False
    cohort: str | None = None
    start: datetime | None = None
    #: Of a random library.
    max_count: int | None = None


@dataclass
class Person:
    """A user, with all that decides what is seen and what is done; courses are known by key."""

    user_id: int
    enrolled: set[str] = field(default_factory=set)
    cohorts: dict[str, str] = field(default_factory=dict)
    #: Courses; and organisations.
    staff_in: set[str] = field(default_factory=set)
    #: By course and library: what was drawn when it was opened.
    opened: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    #: By course, then by block: value, and when it was written.
    done: dict[str, dict[str, tuple[float, datetime]]] = field(default_factory=dict)


def block_type(name: str) -> str:
    return name.split("/")[0]


def long_key(course_key: str, name: str) -> str:
    kind, ident = name.split("/")
    return f"{course_key.replace('course-v1:', 'block-v1:')}+type@{kind}+block@{ident}"


def values(parts: dict[str, Part], course_key: str, person: Person, now: datetime) -> dict[str, Values]:
    """Return the values of every aggregator that this person sees, by block."""
    paths = list(_paths(parts, course_key, person, now, (ROOT,)))
    done = person.done.get(course_key, {})
    sums: dict[str, Values] = {}
    for aggregator in {path[-1] for path in paths if block_type(path[-1]) in AGGREGATORS}:
        below = {path[-1] for path in paths if aggregator in path} - {aggregator}
        leaves = {name for name in below if block_type(name) not in AGGREGATORS | EXCLUDED}
        optional = {name for name in leaves if _is_optional(parts, name, paths)}
        required = leaves - optional
        sums[aggregator] = (
            sum(done[name][0] for name in required if name in done),
            len(required),
            sum(done[name][0] for name in optional if name in done),
            len(optional),
            max((done[name][1] for name in leaves if name in done), default=None),
        )
    return sums


def percent(sums: Values) -> float:
    return sums[0] / sums[1] if sums[1] else 1.0


def _paths(
    parts: dict[str, Part], course_key: str, person: Person, now: datetime, path: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    """Give this path and all that go on from it; nothing goes on from what does not aggregate."""
    yield path
    last = path[-1]
    if block_type(last) not in AGGREGATORS or (last == ROOT and not _sees(parts[ROOT], course_key, person, now)):
        return
    for child in _drawn(last, parts[last], course_key, person):
        if _sees(parts[child], course_key, person, now):
            yield from _paths(parts, course_key, person, now, (*path, child))


def _sees(part: Part, course_key: str, person: Person, now: datetime) -> bool:
    if course_key in person.staff_in or _org(course_key) in person.staff_in:
        return True
    is_released = part.start is None or part.start <= now
    is_for_cohort = part.cohort is None or part.cohort == person.cohorts.get(course_key)
    return is_released and is_for_cohort and not part.staff_only


def _drawn(name: str, part: Part, course_key: str, person: Person) -> list[str]:
    """Return the children that a random library has for this person; of other blocks, all."""
    if part.max_count is None:
        return part.children
    chosen = [child for child in person.opened.get((course_key, name), []) if child in part.children]
    chosen = chosen[: part.max_count]
    # The sample LMS draws the rest from a sequence of the person's own.
    rest = [child for child in part.children if child not in chosen]
    random.Random(f"{person.user_id} {long_key(course_key, name)}").shuffle(rest)  # noqa: S311
    return (chosen + rest)[: part.max_count]


def _is_optional(parts: dict[str, Part], name: str, paths: list[tuple[str, ...]]) -> bool:
    """Tell whether every path to a block leads through an optional one."""
    return all(any(parts[each].optional for each in path) for path in paths if path[-1] == name)


def _org(course_key: str) -> str:
    return course_key.split(":")[1].split("+")[0]
