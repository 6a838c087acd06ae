"""What lies before a learner in a course."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.engine import Tally
from completion_aggregator.models import CourseAggregate
from completion_aggregator.selectors import get_learner_path
from completion_aggregator.selectors.path import LearnerPath, PathBlock, get_learner_courses, get_learner_paths
from completion_aggregator.services import aggregate_stale
from sample_lms.models import Course, LibrarySelection
from tests.factories import (
    COURSE_KEY,
    SMALL_COURSE,
    EnrollmentFactory,
    UserFactory,
    block,
    complete,
    key,
    new_course_key,
    publish_course,
    small_course,
)

pytestmark = pytest.mark.django_db

SOON = datetime(2200, 1, 1, tzinfo=UTC)


def drawn(path: LearnerPath) -> list[Any]:
    """Return the tree of a path as nested lists: name, required and optional sums, what is below."""

    def draw(each: PathBlock) -> list[Any]:
        assert each.block_key == key(each.display_name)
        tally = each.tally
        sums = f"{tally.earned:g}/{tally.possible}"
        if tally.optional_possible:
            sums += f" + {tally.optional_earned:g}/{tally.optional_possible}"
        if not each.is_open:
            return [each.display_name, each.opens_at]
        return [each.display_name, sums, *map(draw, each.children)]

    return [draw(chapter) for chapter in path.chapters]


def trail(path: LearnerPath) -> list[str]:
    return [each.display_name for each in path.next_trail]


def with_flags(name: str, **flags: Any) -> list[Any]:
    """Return the small course with one block changed."""
    return [replace(each, **flags) if each.key == key(name) else each for each in SMALL_COURSE]


def test_a_path_is_what_the_learner_sees_in_course_order(learner: Any) -> None:
    complete(learner, "html/h1", "html/h2", "html/h3", "html/h4")
    aggregate_stale()

    path = get_learner_path(learner, COURSE_KEY)

    assert drawn(path) == [
        [
            "chapter/c1",
            "3/4",
            ["sequential/s1", "2/3", ["vertical/v1", "2/2"], ["vertical/v2", "0/1"]],
            ["sequential/s2", "1/1", ["vertical/v3", "1/1"]],
        ],
        ["chapter/c2", "1/2", ["sequential/s3", "1/2", ["vertical/v4", "1/2"]]],
    ]
    assert trail(path) == ["chapter/c1", "sequential/s1", "vertical/v2"]
    assert path.next_block == path.next_trail[-1]
    assert (path.course_key, path.display_name, path.tally[:4]) == (COURSE_KEY, "course/course", (4.0, 6, 0.0, 0))
    assert path.tally.last_modified is not None


@pytest.mark.parametrize("is_aggregated", [True, False])
def test_a_path_counts_what_was_just_done_and_saves_nothing(learner: Any, is_aggregated: bool) -> None:
    if is_aggregated:
        aggregate_stale()
    complete(learner, "html/h1", "html/h2")
    before = list(CourseAggregate.objects.values())

    path = get_learner_path(learner, COURSE_KEY)

    assert path.tally[:2] == (2.0, 6)
    assert trail(path) == ["chapter/c1", "sequential/s1", "vertical/v2"]
    assert list(CourseAggregate.objects.values()) == before


def test_where_all_is_done_nothing_comes_next(learner: Any) -> None:
    names = [each.display_name for each in SMALL_COURSE]
    complete(learner, *(name for name in names if name.startswith(("html", "problem", "video"))))

    path = get_learner_path(learner, COURSE_KEY)

    assert path.tally.percent == 1.0
    assert path.next_trail == ()
    assert path.next_block is None


def test_a_part_done_is_not_done(learner: Any) -> None:
    complete(learner, "html/h1")
    complete(learner, "html/h2", value=0.99)

    assert trail(get_learner_path(learner, COURSE_KEY))[-1] == "vertical/v1"


def test_what_is_optional_is_summed_apart_and_never_comes_next(learner: Any) -> None:
    publish_course(with_flags("sequential/s1", optional=True))
    complete(learner, "html/h1", "html/h3")

    path = get_learner_path(learner, COURSE_KEY)

    assert drawn(path)[0] == [
        "chapter/c1",
        "1/1 + 1/3",
        ["sequential/s1", "0/0 + 1/3", ["vertical/v1", "0/0 + 1/2"], ["vertical/v2", "0/0 + 0/1"]],
        ["sequential/s2", "1/1", ["vertical/v3", "1/1"]],
    ]
    assert trail(path) == ["chapter/c2", "sequential/s3", "vertical/v4"]
    chapter = path.chapters[0]
    assert [each.is_optional for each in (chapter, *chapter.children)] == [False, True, False]
    assert [each.percent for each in (chapter, *chapter.children)] == [1.0, 1 / 3, 1.0]


def test_what_is_to_do_outside_of_units_comes_next_where_it_is(learner: Any) -> None:
    publish_course(with_flags("sequential/s1", children=(key("vertical/v2"), key("html/h1"))))
    complete(learner, "problem/p1")

    assert trail(get_learner_path(learner, COURSE_KEY)) == ["chapter/c1", "sequential/s1"]


def test_a_unit_without_anything_to_do_is_there_and_is_passed(learner: Any) -> None:
    publish_course(with_flags("vertical/v1", children=(key("discussion/d1"),)))

    path = get_learner_path(learner, COURSE_KEY)
    unit = path.chapters[0].children[0].children[0]

    assert (unit.display_name, unit.tally[:2], unit.is_empty) == ("vertical/v1", (0.0, 0), True)
    assert trail(path)[-1] == "vertical/v2"


def test_what_is_not_released_is_there_with_its_date(learner: Any) -> None:
    later = SOON + timedelta(days=1)
    starts = {key("sequential/s1"): SOON, key("vertical/v1"): later, key("vertical/v3"): later}
    publish_course([replace(each, start=starts.get(each.key)) for each in SMALL_COURSE])

    path = get_learner_path(learner, COURSE_KEY)

    # Of what is in it, nothing is told.
    assert drawn(path)[0] == [
        "chapter/c1",
        "0/0",
        ["sequential/s1", SOON],
        ["sequential/s2", "0/0", ["vertical/v3", later]],
    ]
    assert trail(path) == ["chapter/c2", "sequential/s3", "vertical/v4"]
    # Where nobody asks for it, it is not there.
    (short,) = get_learner_paths(learner, [COURSE_KEY])
    assert drawn(short)[0] == ["chapter/c1", "0/0", ["sequential/s2", "0/0"]]


def test_what_is_released_by_now_is_open(learner: Any) -> None:
    publish_course(with_flags("chapter/c1", start=timezone.now() - timedelta(minutes=1)))

    assert get_learner_path(learner, COURSE_KEY).chapters[0].is_open


def test_a_course_that_has_not_started_shows_when_it_does(learner: Any) -> None:
    publish_course(with_flags("course/course", start=SOON))

    path = get_learner_path(learner, COURSE_KEY)

    assert drawn(path) == [["chapter/c1", SOON], ["chapter/c2", SOON]]
    assert path.next_trail == ()


def test_what_is_hidden_for_other_reasons_is_not_there(learner: Any) -> None:
    blocks = with_flags("chapter/c2", staff_only=True)
    publish_course([replace(each, cohorts=("red",)) if each.key == key("vertical/v2") else each for each in blocks])

    path = get_learner_path(learner, COURSE_KEY)

    assert drawn(path) == [
        [
            "chapter/c1",
            "0/3",
            ["sequential/s1", "0/2", ["vertical/v1", "0/2"]],
            ["sequential/s2", "0/1", ["vertical/v3", "0/1"]],
        ]
    ]


def test_a_random_library_counts_what_was_drawn_and_is_gone_through(learner: Any) -> None:
    publish_course(
        [
            block("course/course", "chapter/c1"),
            block("chapter/c1", "library_content/l1"),
            block("library_content/l1", "sequential/s1", "sequential/s2", max_count=1),
            block("sequential/s1", "html/h1"),
            block("html/h1"),
            block("sequential/s2", "html/h2"),
            block("html/h2"),
        ]
    )
    LibrarySelection.objects.create(
        user=learner, course_id=COURSE_KEY, library_key=key("library_content/l1"), selected=[key("sequential/s2")]
    )

    assert drawn(get_learner_path(learner, COURSE_KEY)) == [["chapter/c1", "0/1", ["sequential/s2", "0/1"]]]


def test_a_block_with_two_parents_is_in_both_and_counts_once_above(learner: Any) -> None:
    publish_course(with_flags("sequential/s2", children=(key("vertical/v3"), key("vertical/v1"))))
    complete(learner, "html/h1")

    path = get_learner_path(learner, COURSE_KEY)

    assert drawn(path)[0] == [
        "chapter/c1",
        "1/4",
        ["sequential/s1", "1/3", ["vertical/v1", "1/2"], ["vertical/v2", "0/1"]],
        ["sequential/s2", "1/3", ["vertical/v3", "0/1"], ["vertical/v1", "1/2"]],
    ]
    assert trail(path) == ["chapter/c1", "sequential/s1", "vertical/v1"]


def test_what_is_in_a_unit_is_not_on_the_path(learner: Any) -> None:
    blocks = with_flags("vertical/v4", children=(key("vertical/inner"), key("video/m1")))
    publish_course([*blocks, block("vertical/inner", "html/h4")])

    path = get_learner_path(learner, COURSE_KEY)

    assert drawn(path)[1] == ["chapter/c2", "0/2", ["sequential/s3", "0/2", ["vertical/v4", "0/2"]]]


def test_a_course_that_the_lms_does_not_have_is_its_key(learner: Any) -> None:
    complete(learner, "html/h1")
    aggregate_stale()
    Course.objects.all().delete()

    gone = get_learner_path(learner, COURSE_KEY)

    assert gone == LearnerPath(
        course_key=COURSE_KEY,
        display_name=str(COURSE_KEY),
        tally=gone.tally,
        chapters=(),
        next_trail=(),
        url=None,
    )
    assert gone.tally[:2] == (1.0, 6)
    other = new_course_key()
    assert get_learner_path(learner, other).tally == Tally(0.0, None, 0.0, None)


def test_the_courses_of_a_learner_begin_with_what_is_to_be_done(learner: Any) -> None:
    done, old, new, untouched = (new_course_key() for _ in range(4))
    for course_key in (done, old, new, untouched):
        publish_course(_tiny(course_key) if course_key == done else small_course(course_key), course_key)
        EnrollmentFactory(user=learner, course_id=course_key)
    EnrollmentFactory(user=learner, course_id=new_course_key(), is_active=False)
    EnrollmentFactory(course_id=new_course_key())
    complete(learner, "html/h1", course_key=done)
    complete(learner, "html/h1", course_key=old)
    complete(learner, "html/h1", course_key=new)
    aggregate_stale()

    assert get_learner_courses(learner) == [new, old, *sorted([untouched, COURSE_KEY], key=str), done]
    assert get_learner_courses(UserFactory()) == []


def test_paths_cost_a_constant_number_of_queries(learner: Any) -> None:
    aggregate_stale()
    many = [new_course_key() for _ in range(8)]
    for course_key in many:
        publish_course(_large(course_key), course_key)
        EnrollmentFactory(user=learner, course_id=course_key)
    aggregate_stale()
    get_learner_paths(learner, [COURSE_KEY, *many])

    def count(*course_keys: CourseKey) -> int:
        with CaptureQueriesContext(connection) as queries:
            get_learner_paths(learner, course_keys)
        return len(queries)

    # Aggregates of the course and of blocks, the courses as stored; the LMS's versions twice.
    assert [count(COURSE_KEY), count(many[0]), count(COURSE_KEY, *many)] == [5, 5, 5]


def _tiny(course_key: CourseKey) -> list[Any]:
    names = {"course/course": ["chapter/c1"], "chapter/c1": ["html/h1"], "html/h1": []}
    return [block(name, *below, course_key=course_key) for name, below in names.items()]


def _large(course_key: CourseKey) -> list[Any]:
    chapters = [f"chapter/c{n}" for n in range(30)]
    return [
        block("course/course", *chapters, course_key=course_key),
        *(block(name, name.replace("chapter", "html"), course_key=course_key) for name in chapters),
        *(block(name.replace("chapter", "html"), course_key=course_key) for name in chapters),
    ]
