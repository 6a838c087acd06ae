"""The site that both packages are asked about: the same users, courses and completions in two databases.

Both sides import it, each in its own environment; what differs between them comes in as arguments of `build`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from completion.models import BlockCompletion
from django.contrib.auth.models import User
from opaque_keys.edx.keys import CourseKey, UsageKey
from waffle.models import Switch

from benchmarks.course import Block

#: What is in a course, parents before children: name of a block, names of its children.
Shape = dict[str, tuple[str, ...]]

SHAPE: Shape = {
    "course/course": ("chapter/c1", "chapter/c2"),
    "chapter/c1": ("sequential/s1", "sequential/s2"),
    "sequential/s1": ("vertical/v1", "vertical/v2"),
    "vertical/v1": ("html/h1", "html/h2", "discussion/d1"),
    "html/h1": (),
    "html/h2": (),
    "discussion/d1": (),
    "vertical/v2": ("problem/p1",),
    "problem/p1": (),
    "sequential/s2": ("vertical/v3",),
    "vertical/v3": ("html/h3", "html/h4"),
    "html/h3": (),
    "html/h4": (),
    "chapter/c2": ("sequential/s3",),
    "sequential/s3": ("vertical/v4",),
    "vertical/v4": ("html/h5", "video/m1"),
    "html/h5": (),
    "video/m1": (),
}
EMPTY: Shape = {"course/course": ("chapter/c1",), "chapter/c1": ()}


@dataclass(frozen=True, eq=False)
class Course:
    """A course that `publish` of either side takes, as it takes those of benchmarks/course.py."""

    key: str
    shape: Shape
    #: Blocks that do not count among the required ones, with all that is under them.
    optional: frozenset[str] = frozenset()
    cohorts: tuple[str, ...] = ()
    mobile: bool = False

    @property
    def course_key(self) -> CourseKey:
        return CourseKey.from_string(self.key)

    @property
    def name(self) -> str:
        return self.course_key.course

    def usage_key(self, name: str) -> UsageKey:
        block_type, block_id = name.split("/")
        if name == "course/course" and self.course_key.deprecated:
            block_id = self.course_key.run
        return self.course_key.make_usage_key(block_type, block_id)

    def blocks(self) -> Iterator[Block]:
        for name, children in self.shape.items():
            below = tuple(str(self.usage_key(child)) for child in children)
            key = self.usage_key(name)
            yield Block(str(key), key.block_type, name, below, optional=name in self._all_optional())

    def _all_optional(self) -> set[str]:
        found: set[str] = set()
        for name, children in self.shape.items():
            if name in self.optional or name in found:
                found |= {name, *children}
        return found


MAIN = Course(
    "course-v1:Diff+Main+1", SHAPE, optional=frozenset({"vertical/v3"}), cohorts=("red", "blue", "none"), mobile=True
)
OLD = Course("Diff/Old/1", SHAPE)
NOTHING = Course("course-v1:Diff+Nothing+1", EMPTY)
#: Its learners were never aggregated.
NEVER = Course("course-v1:Diff+Never+1", SHAPE)
BEFORE = Course("course-v1:Diff+Changed+1", SHAPE)
#: BEFORE after a publication that took three blocks out of it and put one in.
CHANGED = Course(
    BEFORE.key,
    {
        "course/course": ("chapter/c1", "chapter/c3"),
        "chapter/c1": ("sequential/s1",),
        "sequential/s1": ("vertical/v1", "vertical/v2"),
        "vertical/v1": ("html/h1",),
        "html/h1": (),
        "vertical/v2": ("problem/p1",),
        "problem/p1": (),
        "chapter/c3": (),
    },
)
#: Nobody is enrolled.
LONELY = Course("course-v1:Diff+Lonely+1", SHAPE)
COURSES = (MAIN, OLD, NOTHING, NEVER, CHANGED, LONELY)
#: No course has this key.
GHOST = "course-v1:Diff+Ghost+1"

#: By user name: id. All that is asked is asked as one of these, or as nobody.
USERS = {
    "ada": 1,  # fresh everywhere
    "bob": 2,  # stale in MAIN
    "cleo": 3,  # enrolled, has done nothing, was never aggregated
    "dora": 4,  # has left MAIN
    "eve": 5,  # is in no course
    "fred": 6,  # a beta tester of MAIN
    "gina": 7,  # works in MAIN without being enrolled
    "hugo": 8,  # works in OLD, is enrolled in both
    "boss": 9,  # global staff, enrolled in OLD
    "zoe.o'hara@x+y": 10,
} | {f"learner{number}": number for number in range(11, 24)}

ENROLLMENTS = {
    MAIN: ["ada", "bob", "cleo", "fred", "hugo", "zoe.o'hara@x+y", *(f"learner{number}" for number in range(11, 24))],
    OLD: ["ada", "bob", "hugo", "boss"],
    NOTHING: ["ada", "cleo"],
    NEVER: ["ada", "fred"],
    CHANGED: ["ada", "bob"],
}
#: Who has done what before the aggregation; the values are 1.0 but for those given.
DONE: dict[Course, dict[str, dict[str, float]]] = {
    MAIN: {
        "ada": {"html/h1": 1.0, "html/h2": 0.5, "problem/p1": 1.0, "html/h3": 1.0},
        "bob": {"html/h1": 1.0},
        "dora": {"html/h1": 1.0, "html/h5": 1.0},
        "fred": dict.fromkeys(("html/h1", "html/h2", "problem/p1", "html/h3", "html/h4", "html/h5", "video/m1"), 1.0),
        "hugo": {"video/m1": 1 / 3, "html/h5": 1 / 7},
        "zoe.o'hara@x+y": {"html/h4": 0.25},
        **{f"learner{number}": {"html/h1": 1.0, "video/m1": number / 30} for number in range(11, 24)},
    },
    OLD: {"ada": {"html/h1": 1.0, "video/m1": 1.0}, "bob": {"html/h2": 1.0}, "hugo": {"html/h3": 1.0}},
    BEFORE: {"ada": {"html/h1": 1.0, "html/h5": 1.0}, "bob": {"html/h2": 1.0, "problem/p1": 1.0}},
}
#: Done after it, by submission: who has done it is stale.
DONE_LATER = {MAIN: {"bob": {"html/h2": 1.0, "html/h4": 1.0}}, NEVER: {"ada": {"html/h1": 1.0}}}
#: (user name, role, course)
ROLES = (("fred", "beta_testers", MAIN), ("gina", "staff", MAIN), ("hugo", "staff", OLD), ("ada", "instructor", OLD))
#: By cohort of MAIN: its members. The ids of the cohorts are 1, 2 and 3.
COHORTS = {"red": ["ada", "bob"], "blue": ["cleo", "hugo"], "none": []}


def build(
    *,
    publish: Callable[[Course], Any],
    enroll: Callable[..., Any],
    add_role: Callable[..., Any],
    add_cohort_member: Callable[[int, int, Course], Any],
    aggregate: Callable[[Course, User], Any],
) -> None:
    """Fill an empty database."""
    Switch.objects.update_or_create(name="completion.enable_completion_tracking", defaults={"active": True})
    users = {
        name: User.objects.create(id=user_id, username=name, is_staff=name == "boss") for name, user_id in USERS.items()
    }
    for course in (MAIN, OLD, NOTHING, NEVER, BEFORE, LONELY):
        publish(course)
    for name, role, course in ROLES:
        add_role(user=users[name], org="Diff", course_id=course.course_key, role=role)
    for course, names in ENROLLMENTS.items():
        for name in names:
            enroll(user=users[name], course_id=course.course_key)
    for cohort_id, names in enumerate(COHORTS.values(), start=1):
        for name in names:
            add_cohort_member(users[name].pk, cohort_id, MAIN)
    for course, learners in DONE.items():
        for name, done in learners.items():
            _complete(course, users[name], done)
            aggregate(course, users[name])
    for name in ("ada", "bob", "cleo"):
        aggregate(NOTHING, users[name])
    publish(CHANGED)
    aggregate(CHANGED, users["ada"])
    enroll(user=users["dora"], course_id=MAIN.course_key, is_active=False)
    for course, learners in DONE_LATER.items():
        for name, done in learners.items():
            _complete(course, users[name], done)


def _complete(course: Course, user: User, done: dict[str, float]) -> None:
    for name, value in done.items():
        BlockCompletion.objects.submit_completion(user, course.usage_key(name), value)
