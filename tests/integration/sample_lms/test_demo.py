"""The demo and the course that comes with it."""

from __future__ import annotations

from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from completion_aggregator.models import CourseAggregate, StaleCompletion
from sample_lms.management.commands import demo
from sample_lms.models import Block, Cohort, Course, Enrollment
from sample_lms.olx import read_course
from tests.truth import assert_stored_is_computed

pytestmark = pytest.mark.django_db

LEARNERS, LEARNERS_IN_BOTH = 20, 16


def set_up() -> str:
    out = StringIO()
    call_command("demo", no_serve=True, port=8123, stdout=out)
    return out.getvalue()


@pytest.fixture(autouse=True)
def _few_learners(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo has 300 learners, which takes half a minute."""
    monkeypatch.setattr(demo, "LEARNERS", LEARNERS)
    monkeypatch.setattr(demo, "LEARNERS_IN_BOTH", LEARNERS_IN_BOTH)


def test_the_demo_is_ready_to_be_asked(client: Client) -> None:
    said = set_up()

    assert said.index("http://127.0.0.1:8123/\n") < said.index("http://127.0.0.1:8123/api/completion/v1/")
    assert f"http://127.0.0.1:8123/api/completion/v1/course/{demo.COURSE_KEY}/" in said
    assert "staff / staff and learner / learner" in said
    assert Enrollment.objects.count() == CourseAggregate.objects.count() == LEARNERS + LEARNERS_IN_BOTH
    assert not StaleCompletion.objects.exists()
    assert_stored_is_computed(demo.COURSE_KEY)
    assert_stored_is_computed(demo.SECOND_COURSE_KEY)

    assert client.login(username="staff", password="staff")
    everybody = client.get(f"/api/completion/v1/course/{demo.COURSE_KEY}/").json()
    assert everybody["pagination"]["count"] == LEARNERS
    assert client.login(username="learner", password="learner")
    own = client.get("/api/completion/v1/course/?username=me").json()["results"]
    assert [course["course_key"] for course in own] == [str(demo.COURSE_KEY), str(demo.SECOND_COURSE_KEY)]
    assert own[0]["completion"]["percent"] >= 0.5


def test_setting_it_up_again_changes_nothing() -> None:
    set_up()
    before = _state()

    set_up()

    assert _state() == before


def _state() -> Any:
    return (
        list(Course.objects.values()),
        list(Enrollment.objects.order_by("pk").values()),
        list(CourseAggregate.objects.order_by("user_id").values()),
    )


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_is_none_is_refused_in_a_line(port: int) -> None:
    with pytest.raises(CommandError, match=r"^--port must be from 1 to 65535\.$"):
        call_command("demo", port=port, no_serve=True)


def test_the_sample_course_has_all_that_a_course_can_have() -> None:
    call_command("import_olx", demo.COURSE, stdout=StringIO())

    blocks = Block.objects.filter(course__course_key=demo.COURSE_KEY)
    counts = Counter(blocks.values_list("block_type", flat=True))
    assert counts["chapter"] >= 5
    assert 76 <= counts["vertical"] <= 90
    assert blocks.filter(optional=True).exists()
    assert blocks.filter(staff_only=True).exists()
    assert blocks.filter(start__gt=timezone.now()).exists()
    assert blocks.filter(block_type="library_content", max_count=3).count() == 1
    assert set(Cohort.objects.values_list("name", flat=True)) == {"Northern hemisphere", "Southern hemisphere"}
    assert {tuple(cohorts) for cohorts in blocks.values_list("cohorts", flat=True)} == {
        (),
        ("Northern hemisphere",),
        ("Southern hemisphere",),
    }


def test_the_second_course_is_small_and_has_some_of_it_too() -> None:
    call_command("import_olx", demo.SECOND_COURSE, stdout=StringIO())

    blocks = Block.objects.filter(course__course_key=demo.SECOND_COURSE_KEY)
    assert blocks.filter(block_type="chapter").count() == 2
    assert blocks.filter(optional=True, block_type="sequential").count() == 1
    assert blocks.filter(start__gt=timezone.now()).count() == 1
    assert {tuple(cohorts) for cohorts in blocks.values_list("cohorts", flat=True)} == {
        (),
        ("Rocky shore",),
        ("Sandy shore",),
    }


@pytest.mark.parametrize("olx", [demo.COURSE, demo.SECOND_COURSE])
def test_every_block_of_the_sample_courses_has_a_name(olx: Path) -> None:
    assert [block.key for block in read_course(olx).blocks if not block.display_name] == []
