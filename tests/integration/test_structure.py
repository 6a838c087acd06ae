"""Bringing the stored structure up to the published version: rows of courses and blocks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from completion_aggregator.engine import CompletionMode
from completion_aggregator.exceptions import CourseNotFoundError
from completion_aggregator.lms.base import CourseOutline, OutlineBlock
from completion_aggregator.models import Course, CourseBlock, StaleCompletion
from completion_aggregator.selectors import structure as structures
from completion_aggregator.selectors.structure import CourseState, StoredCourse, get_course_states, get_structures
from completion_aggregator.services import aggregate_stale
from completion_aggregator.services.structure import sync_course
from sample_lms.lms import SampleLMS
from sample_lms.models import Course as SampleCourse
from tests.factories import COURSE_KEY, EnrollmentFactory, block, key, new_course_key, publish_course

pytestmark = pytest.mark.django_db

FIRST = (block("course/course", "html/h1", "html/h2"), block("html/h1"), block("html/h2"))
SECOND = (block("course/course", "html/h2", "html/h3"), block("html/h2"), block("html/h3"))


def stored() -> dict[str, tuple[int, int | None]]:
    """Return id and position of every block, by key."""
    return {key: (pk, position) for key, pk, position in CourseBlock.objects.values_list("block_key", "id", "position")}


class DeletedLMS(SampleLMS):
    """An LMS whose every outline comes too late: the stored course is deleted at the same moment."""

    def course_versions(self, course_keys: Any) -> Any:
        versions = super().course_versions(course_keys)
        if Course.objects.exists():
            Course.objects.all().delete()
        return versions


class RacingLMS(SampleLMS):
    """An LMS in which another worker stores the outline while this one is reading it."""

    racing = False

    def course_outline(self, course_key: Any) -> Any:
        outline = super().course_outline(course_key)
        if RacingLMS.racing:
            RacingLMS.racing = False
            sync_course(course_key)
        return outline


@pytest.fixture
def racing(settings: Any) -> Iterator[None]:
    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.RacingLMS"
    RacingLMS.racing = True
    yield
    RacingLMS.racing = False


def test_a_course_and_its_blocks_get_a_row_each() -> None:
    published = publish_course(FIRST)

    synced = sync_course(COURSE_KEY)

    ids = {name: pk for name, (pk, _) in stored().items()}
    assert list(Course.objects.values()) == [
        {
            "id": synced.id,
            "course_key": str(COURSE_KEY),
            "version": published.version,
            "structure": [
                [
                    [ids[key("course/course")], key("course/course"), "course", "course/course", "aggregator", [1, 2]],
                    [ids[key("html/h1")], key("html/h1"), "html", "html/h1", "completable", []],
                    [ids[key("html/h2")], key("html/h2"), "html", "html/h2", "completable", []],
                ],
                [],
            ],
            "next_change_at": None,
        }
    ]
    assert list(CourseBlock.objects.order_by("position").values()) == [
        {
            "id": ids[key(name)],
            "course_id": synced.id,
            "block_key": key(name),
            "block_type": name.split("/")[0],
            "display_name": name,
            "position": place,
        }
        for place, name in enumerate(("course/course", "html/h1", "html/h2"))
    ]


def test_the_synced_structure_is_the_published_outline() -> None:
    now = timezone.now()
    published = publish_course([block("course/course", "html/h1"), block("html/h1", start=now)])

    structure = sync_course(COURSE_KEY).structure

    assert structure.outline == CourseOutline(
        version=published.version,
        blocks=(
            OutlineBlock(
                key=key("course/course"),
                block_type="course",
                display_name="course/course",
                mode=CompletionMode.AGGREGATOR,
                children=(1,),
            ),
            OutlineBlock(key=key("html/h1"), block_type="html", display_name="html/h1"),
        ),
        change_dates=(now,),
    )
    assert structure.block_ids == {name: pk for name, (pk, _) in stored().items()}


def test_blocks_keep_their_ids_and_those_that_are_gone_lose_their_position() -> None:
    publish_course(FIRST)
    sync_course(COURSE_KEY)
    first = stored()

    publish_course(SECOND)
    sync_course(COURSE_KEY)

    new_id = stored()[key("html/h3")][0]
    assert new_id not in {pk for pk, _ in first.values()}
    assert stored() == {
        key("course/course"): (first[key("course/course")][0], 0),
        key("html/h1"): (first[key("html/h1")][0], None),
        key("html/h2"): (first[key("html/h2")][0], 1),
        key("html/h3"): (new_id, 2),
    }


def test_a_block_that_comes_back_has_the_id_it_had() -> None:
    publish_course(FIRST)
    sync_course(COURSE_KEY)
    first = stored()
    for blocks in (SECOND, FIRST):
        publish_course(blocks)
        sync_course(COURSE_KEY)

    assert {name: stored()[name] for name in first} == first


def test_a_block_that_is_renamed_or_of_another_type_is_brought_up_to_date() -> None:
    publish_course(FIRST)
    sync_course(COURSE_KEY)

    publish_course([FIRST[0], *(replace(each, display_name="New", block_type="video") for each in FIRST[1:])])
    sync_course(COURSE_KEY)

    names = CourseBlock.objects.order_by("position").values_list("block_type", "display_name")
    assert list(names) == [("course", "course/course"), ("video", "New"), ("video", "New")]


def test_two_courses_may_hold_the_same_block_keys() -> None:
    other_key = new_course_key()
    publish_course(FIRST)
    publish_course(FIRST, other_key)

    ids = [set(sync_course(course_key).structure.block_ids.values()) for course_key in (COURSE_KEY, other_key)]

    assert not ids[0] & ids[1]


def test_keys_that_differ_by_case_are_different_rows() -> None:
    courses = [Course.objects.create(course_key=text) for text in ("course-v1:a+b+c", "course-v1:A+B+C")]
    blocks = [CourseBlock.objects.create(course=courses[0], block_key=key(name)) for name in ("html/a", "html/A")]

    assert Course.objects.get(course_key="course-v1:A+B+C") == courses[1]
    assert CourseBlock.objects.get(block_key=key("html/a")) == blocks[0]


def test_nothing_is_written_when_nothing_is_new() -> None:
    publish_course(FIRST)
    first = sync_course(COURSE_KEY)

    with CaptureQueriesContext(connection) as queries:
        assert sync_course(COURSE_KEY) == first

    assert [query["sql"].split()[0] for query in queries] == ["SELECT", "SELECT"]


def test_a_process_that_has_forgotten_the_structure_reads_it_again() -> None:
    publish_course(FIRST)
    first = sync_course(COURSE_KEY)
    structures._structures.clear()

    with CaptureQueriesContext(connection) as queries:
        assert sync_course(COURSE_KEY) == first

    assert [query["sql"].split()[0] for query in queries] == ["SELECT"] * 3


def test_only_the_last_structures_are_kept_in_memory() -> None:
    for _ in range(structures.MAX_STRUCTURES + 5):
        course_key = new_course_key()
        publish_course([block("course/course")], course_key)
        sync_course(course_key)

    assert len(structures._structures) == structures.MAX_STRUCTURES


class UnstoredLMS(SampleLMS):
    """An LMS of courses that are nowhere stored."""

    def course_outline(self, course_key: Any) -> CourseOutline:
        return CourseOutline(version="1", blocks=())


def test_threads_share_the_structures_in_memory(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.UnstoredLMS"
    monkeypatch.setattr(structures, "MAX_STRUCTURES", 1)
    states = [CourseState(new_course_key(), "1", StoredCourse()) for _ in range(2)]

    def ask(state: CourseState) -> None:
        for _ in range(2_000):
            get_structures([state])

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor() as threads:
            # What a thread has raised is raised here.
            list(threads.map(ask, states * 2))
    finally:
        sys.setswitchinterval(usual)


def test_what_was_stored_since_the_version_was_read_is_not_kept_for_it() -> None:
    publish_course(FIRST)
    sync_course(COURSE_KEY)
    before = get_course_states([COURSE_KEY])[COURSE_KEY]
    publish_course(SECOND)
    second = sync_course(COURSE_KEY).structure
    structures._structures.clear()

    with CaptureQueriesContext(connection) as queries:
        assert get_structures([before])[COURSE_KEY] == second

    assert [query["sql"].split()[0] for query in queries] == ["SELECT"]
    assert list(structures._structures) == []


def test_what_was_published_since_the_version_was_read_is_not_kept_for_it() -> None:
    publish_course(FIRST)
    before = get_course_states([COURSE_KEY])[COURSE_KEY]
    second = publish_course(SECOND)
    structures._structures.clear()

    outline = get_structures([before])[COURSE_KEY].outline

    assert outline.version == second.version
    assert list(structures._structures) == []


def test_the_structure_of_a_course_that_was_deleted_since_is_asked_of_the_lms() -> None:
    publish_course(FIRST)
    first = sync_course(COURSE_KEY).structure
    before = get_course_states([COURSE_KEY])[COURSE_KEY]
    Course.objects.all().delete()
    structures._structures.clear()

    assert get_structures([before])[COURSE_KEY] == replace(first, block_ids={})
    assert list(structures._structures) == []


def test_the_first_version_marks_nobody() -> None:
    publish_course(FIRST)
    EnrollmentFactory()
    StaleCompletion.objects.all().delete()

    sync_course(COURSE_KEY)

    assert not StaleCompletion.objects.exists()


def test_another_version_marks_everybody_even_if_publishing_did_not_tell() -> None:
    publish_course(FIRST)
    users = [EnrollmentFactory().user for _ in range(2)]
    aggregate_stale()
    SampleCourse.objects.update(version="published in silence")

    sync_course(COURSE_KEY)

    marked = StaleCompletion.objects.order_by("user_id").values_list("user_id", "course_key", "block_key")
    assert list(marked) == [(user.pk, str(COURSE_KEY), None) for user in users]


def test_the_next_release_date_is_noted() -> None:
    now = timezone.now()
    dates = [now - timedelta(days=1), now + timedelta(days=1), now + timedelta(days=2)]
    names = [f"html/h{place}" for place in range(3)]
    parts = [block(name, start=start) for name, start in zip(names, dates, strict=True)]
    publish_course([block("course/course", *names), *parts])

    sync_course(COURSE_KEY)

    assert Course.objects.get().next_change_at == dates[1]


def test_an_unknown_course_is_refused_and_leaves_no_row() -> None:
    with pytest.raises(CourseNotFoundError, match=f"^The LMS has no course {COURSE_KEY}.$".replace("+", r"\+")):
        sync_course(COURSE_KEY)

    assert not Course.objects.exists()


def test_a_course_row_that_is_deleted_meanwhile_is_refused(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_LMS = f"{__name__}.DeletedLMS"
    publish_course(FIRST)

    with pytest.raises(CourseNotFoundError, match="has just been deleted"):
        sync_course(COURSE_KEY)


def test_the_slower_of_two_workers_writes_nothing(racing: None) -> None:
    publish_course(FIRST)

    sync_course(COURSE_KEY)

    assert RacingLMS.racing is False
    assert sorted(stored()) == sorted(each.key for each in FIRST)
    assert {position for _, position in stored().values()} == {0, 1, 2}
