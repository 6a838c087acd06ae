"""The pages of the sample LMS: a course, its blocks, and the way to do them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from completion.models import BlockCompletion
from completion.waffle import ENABLE_COMPLETION_TRACKING_SWITCH
from django.db import connection
from django.shortcuts import resolve_url
from django.test import Client
from django.test.utils import CaptureQueriesContext
from edx_toggles.toggles.testutils import override_waffle_switch
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.selectors import get_course_completion
from sample_lms.lms import SampleLMS
from sample_lms.models import Cohort
from tests.factories import (
    COURSE_KEY,
    EnrollmentFactory,
    MembershipFactory,
    UserFactory,
    block,
    key,
    publish_course,
)

pytestmark = pytest.mark.django_db

COURSE = (
    block("course/course", "chapter/c1", "chapter/c2"),
    block("chapter/c1", "vertical/v1", "vertical/staff", "vertical/later"),
    block("vertical/v1", "html/h1", "problem/p1", "discussion/d1", "html/red"),
    block("html/h1"),
    block("problem/p1"),
    block("discussion/d1"),
    block("html/red", cohorts=("Red",)),
    block("vertical/staff", "html/s1", staff_only=True),
    block("html/s1"),
    block("vertical/later", "html/l1", start=datetime(2999, 1, 2, 3, 4, tzinfo=UTC)),
    block("html/l1"),
    block("chapter/c2", "html/h1"),
)
BUTTON = "Mark as done"


@pytest.fixture(autouse=True)
def _course(db: None) -> None:
    publish_course(COURSE)


@pytest.fixture
def learner() -> Any:
    return EnrollmentFactory().user


@pytest.fixture
def client(client: Client, learner: Any) -> Client:
    client.force_login(learner)
    return client


def url(name: str, course_key: CourseKey = COURSE_KEY) -> str:
    found = SampleLMS().block_url(course_key, key(name, course_key))
    assert found is not None
    return found


def text(client: Client, name: str) -> str:
    response = client.get(url(name))
    assert response.status_code == 200
    return response.content.decode()


def context(client: Client, name: str) -> dict[str, Any]:
    """Return what the page of a block says."""
    found = client.get(url(name)).context
    return {
        "breadcrumb": [each.name for each in found["breadcrumb"]],
        "children": [(each.name, each.kind, each.is_done, each.reason) for each in found["children"]],
        "can_complete": found["can_complete"],
    }


def test_the_page_of_a_unit_shows_where_it_is_and_what_it_holds(client: Client, learner: Any) -> None:
    client.post(url("html/h1"))

    assert context(client, "vertical/v1") == {
        "breadcrumb": ["course/course", "chapter/c1"],
        "children": [
            ("html/h1", "Text", True, ""),
            ("problem/p1", "Problem", False, ""),
            ("discussion/d1", "Discussion", False, ""),
            ("html/red", "Text", False, "For another group"),
        ],
        "can_complete": False,
    }
    page = text(client, "vertical/v1")
    assert f'<a href="{url("chapter/c1")}"><bdi>chapter/c1</bdi></a>' in page
    assert f'<a href="{url("problem/p1")}"><bdi>problem/p1</bdi></a>' in page
    assert "✓ Done" in page


def test_the_page_of_the_course_has_a_path_of_its_own(client: Client) -> None:
    assert url("course/course") == f"/courses/{COURSE_KEY}/"
    assert context(client, "course/course") == {
        "breadcrumb": [],
        "children": [("chapter/c1", "Section", False, ""), ("chapter/c2", "Section", False, "")],
        "can_complete": False,
    }
    again = client.get(f"/courses/{COURSE_KEY}/jump_to/{key('course/course')}/")
    assert again.context["page"] == client.get(url("course/course")).context["page"]


def test_a_block_in_two_places_is_shown_in_the_first(client: Client) -> None:
    assert context(client, "html/h1")["breadcrumb"] == ["course/course", "chapter/c1", "vertical/v1"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("vertical/staff", "For staff only"),
        ("html/s1", "For staff only"),
        ("html/red", "For another group"),
        ("html/l1", "Not released yet, comes on 2 January 2999, 03:04 UTC"),
    ],
)
def test_what_is_hidden_says_why_and_cannot_be_done(client: Client, name: str, why: str) -> None:
    page = text(client, name)

    assert f" – {why}</p>" in page
    assert BUTTON not in page
    assert client.post(url(name)).status_code == 403
    assert not BlockCompletion.objects.exists()


def test_what_is_for_the_learners_cohort_can_be_done(client: Client, learner: Any) -> None:
    publish_course(COURSE, cohorts=("Red",))
    MembershipFactory(user=learner, cohort=Cohort.objects.get())

    assert BUTTON in text(client, "html/red")


def test_marking_a_block_as_done_counts(client: Client, learner: Any) -> None:
    assert BUTTON in text(client, "html/h1")

    response = client.post(url("html/h1"), follow=True)

    assert response.redirect_chain == [(url("html/h1"), 302)]
    page = response.content.decode()
    assert "<li>Done.</li>" in page
    assert BUTTON not in page
    (row,) = BlockCompletion.objects.all()
    assert (row.user, str(row.block_key), row.completion) == (learner, key("html/h1"), 1.0)
    assert get_course_completion(learner, COURSE_KEY).tally.earned == 1
    assert client.post(url("html/h1")).status_code == 302
    assert BlockCompletion.objects.count() == 1


def test_a_block_that_is_half_done_can_be_done(client: Client, learner: Any) -> None:
    BlockCompletion.objects.submit_completion(learner, COURSE_KEY.make_usage_key("html", "h1"), 0.5)

    assert BUTTON in text(client, "html/h1")


def test_blocks_with_old_keys_can_be_done(client: Client, learner: Any) -> None:
    old = CourseKey.from_string("Org/Course/Run")
    publish_course([block("course/course", "html/h1", course_key=old), block("html/h1", course_key=old)], old)
    EnrollmentFactory(user=learner, course_id=old)

    page = client.post(url("html/h1", old), follow=True)

    assert "✓ Done" in page.content.decode()
    (row,) = BlockCompletion.objects.all()
    assert row.context_key == old


@pytest.mark.parametrize("name", ["course/course", "vertical/v1", "discussion/d1"])
def test_what_does_not_count_as_one_cannot_be_done(client: Client, name: str) -> None:
    assert BUTTON not in text(client, name)
    assert client.post(url(name)).status_code == 403


def test_who_is_not_enrolled_can_look_but_do_nothing(client: Client) -> None:
    client.force_login(UserFactory())

    assert BUTTON not in text(client, "html/h1")
    assert client.post(url("html/h1")).status_code == 403


def test_nothing_can_be_done_while_completion_is_not_tracked(client: Client) -> None:
    with override_waffle_switch(ENABLE_COMPLETION_TRACKING_SWITCH, active=False):
        assert BUTTON not in text(client, "html/h1")
        assert client.post(url("html/h1")).status_code == 403


def test_who_is_not_logged_in_is_sent_to_log_in(settings: Any) -> None:
    for method in (Client().get, Client().post):
        response = method(url("html/h1"))
        target = f"{resolve_url(settings.LOGIN_URL)}?next={quote(url('html/h1'))}"
        assert (response.status_code, response.headers["Location"]) == (302, target)


def test_a_post_from_elsewhere_is_refused(learner: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(learner)

    assert client.post(url("html/h1")).status_code == 403
    assert not BlockCompletion.objects.exists()


@pytest.mark.parametrize(
    "path",
    [
        "/courses/nonsense/",
        "/courses/course-v1:Org+Unknown+Run/",
        f"/courses/{COURSE_KEY}/jump_to/nonsense/",
        f"/courses/{COURSE_KEY}/jump_to/{key('html/unknown')}/",
        f"/courses/{COURSE_KEY}/jump_to/%00/",
        "/courses/course-v1:Org+%00+Run/",
        f"/courses/course-v1:Org+Unknown+Run/jump_to/{key('html/h1')}/",
    ],
)
def test_what_is_not_there_is_not_found(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404
    assert client.post(path).status_code == 404


def test_names_are_shown_as_text(client: Client, learner: Any) -> None:
    learner.first_name, learner.last_name = "<b>Zoë", "حداد"
    learner.save()

    page = text(client, "html/h1")

    assert "&lt;b&gt;Zoë حداد</bdi>" in page
    assert "<b>Zoë" not in page


def test_queries_do_not_grow_with_what_a_block_holds(client: Client) -> None:
    counts = []
    for number in (1, 1, 30):
        names = [f"html/n{place}" for place in range(number)]
        publish_course([block("course/course", *names), *map(block, names)])
        SampleLMS().course_outline(COURSE_KEY)
        with CaptureQueriesContext(connection) as queries:
            client.get(url("course/course"))
        counts.append(len(queries))

    assert counts[1] == counts[2]
