"""The learner's own pages, over HTTP."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from opaque_keys.edx.keys import CourseKey

from completion_aggregator import plugin_urls
from completion_aggregator.dashboard import learner as pages
from completion_aggregator.models import CourseAggregate
from completion_aggregator.services import aggregate_stale
from sample_lms import urls
from sample_lms.models import Course
from tests.acceptance import mounts
from tests.acceptance.helpers import open_page
from tests.acceptance.markup import Page
from tests.factories import (
    COURSE_KEY,
    SMALL_COURSE,
    EnrollmentFactory,
    UserFactory,
    complete,
    key,
    new_course_key,
    publish_course,
    small_course,
)

pytestmark = pytest.mark.anywhere

MY = "/api/completion/my/"
COURSE = f"{MY}{COURSE_KEY}/"
UNITS = [f"/courses/{COURSE_KEY}/jump_to/{key(name)}/" for name in ("vertical/v1", "vertical/v2")]
ALL = ("html/h1", "html/h2", "problem/p1", "html/h3", "html/h4", "video/m1")


@pytest.fixture
def fresh(learner: Any) -> Any:
    """A learner who has done two of six things, long ago, all aggregated."""
    complete(learner, "html/h1", "html/h2")
    aggregate_stale()
    CourseAggregate.objects.update(last_modified=datetime(2026, 2, 3, tzinfo=UTC))
    return learner


def test_the_pages_have_names() -> None:
    assert reverse("completion-my-progress") == MY
    assert reverse("completion-my-course", kwargs={"course_key": str(COURSE_KEY)}) == COURSE
    assert reverse("completion-my-course", kwargs={"course_key": "Org/Course/Run"}) == f"{MY}Org/Course/Run/"


def test_the_list_shows_each_course_with_what_comes_next(fresh: Any) -> None:
    page = Page(open_page(fresh, MY))

    assert page.text == (
        "My progress In progress 33% course/course 2 of 6 done Last activity: Feb. 3, 2026 "
        "Average of all learners: 33% Next: vertical/v2"
    )
    assert page.links[COURSE] == "course/course"
    assert page.links[UNITS[1]] == "vertical/v2"


def test_what_is_completed_is_shown_apart(fresh: Any) -> None:
    done, empty = CourseKey.from_string("course-v1:Org+Done+Run"), CourseKey.from_string("course-v1:Org+Empty+Run")
    publish_course(small_course(done), done)
    publish_course([replace(small_course(empty)[0], children=())], empty)
    for course_key in (done, empty):
        EnrollmentFactory(user=fresh, course_id=course_key)
    aggregate_stale()
    # Not aggregated: it still stands among those in progress, and is shown as what it is.
    complete(fresh, *ALL, course_key=done)

    text = Page(open_page(fresh, MY)).text

    assert re.findall(r"In progress|Completed|\d+ of \d+ done|Nothing to do|Not started yet", text) == [
        *("In progress", "2 of 6 done", "Nothing to do", "Not started yet"),
        *("Completed", "6 of 6 done"),
    ]


def test_whoever_is_in_no_course_is_told_so(fresh: Any) -> None:
    EnrollmentFactory(user=(former := UserFactory()), is_active=False)

    for user in (UserFactory(), former):
        assert Page(open_page(user, MY)).text == "My progress You are not enrolled in any course."


def test_the_list_comes_in_pages(fresh: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_SIZE", 2)
    for _ in range(2):
        course_key = new_course_key()
        publish_course(small_course(course_key), course_key)
        EnrollmentFactory(user=fresh, course_id=course_key)

    first, last = Page(open_page(fresh, MY)), Page(open_page(fresh, f"{MY}?page=2"))

    assert first.text.count("of 6 done") == 2
    assert first.text.endswith("Page 1 of 2 Next")
    assert last.text.count("of 6 done") == 1
    assert last.text.endswith("Page 2 of 2 Previous")
    assert first.links["?page=2"] == "Next"
    assert last.links["?page=1"] == "Previous"
    for wrong in ("0", "-1", "99", "x", "1e9", "é"):
        assert open_page(fresh, f"{MY}?page={wrong}").status_code == 200


def test_a_course_is_shown_section_by_section(fresh: Any) -> None:
    page = Page(open_page(fresh, COURSE))

    assert page.text == (
        "My progress course/course 33% course/course 2 of 6 done Last activity: Feb. 3, 2026 "
        "Average of all learners: 33% "
        "Next thing to do chapter/c1 › sequential/s1 vertical/v2 "
        "Section by section "
        "chapter/c1 2 of 4 done sequential/s1 2 of 3 done vertical/v1 Done vertical/v2 Next 0 of 1 done "
        "sequential/s2 0 of 1 done vertical/v3 0 of 1 done "
        "chapter/c2 0 of 2 done sequential/s3 0 of 2 done vertical/v4 0 of 2 done"
    )
    assert {"class": "button", "href": UNITS[1]} in page.elements["a"]
    # Open is what leads to the next thing.
    assert [list(each) for each in page.elements["details"]] == [["open"], ["open"], [], [], []]
    assert [each for each in page.elements["li"] if each.get("aria-current") == "step"] == [{"aria-current": "step"}]
    (ring,) = [each for each in page.elements["svg"] if "role" in each]
    assert (ring["role"], ring["aria-label"]) == ("img", "Course progress: 33%")


def test_what_was_just_done_counts(fresh: Any) -> None:
    complete(fresh, "problem/p1")

    page = Page(open_page(fresh, COURSE))

    assert "50% course/course 3 of 6 done" in page.text
    assert "Next thing to do chapter/c1 › sequential/s2 vertical/v3" in page.text


def test_a_part_of_a_block_is_never_rounded_up(learner: Any) -> None:
    complete(learner, "html/h1")
    complete(learner, "html/h2", value=0.99)

    text = Page(open_page(learner, COURSE)).text

    assert "course/course 1.9 of 6 done" in text
    assert "vertical/v1 Next 1.9 of 2 done" in text


def test_where_all_is_done_the_way_leads_to_the_course(fresh: Any) -> None:
    complete(fresh, *ALL)

    page = Page(open_page(fresh, COURSE))

    assert "100% course/course 6 of 6 done" in page.text
    assert "You have done all that is required. Go to the course Section by section" in page.text
    assert page.links[f"/courses/{COURSE_KEY}/"] == "Go to the course"
    assert [list(each) for each in page.elements["details"]] == [[]] * 5


def test_what_is_optional_is_marked_and_summed_apart(fresh: Any) -> None:
    publish_course([replace(each, optional=each.key == key("sequential/s2")) for each in SMALL_COURSE])

    text = Page(open_page(fresh, COURSE)).text

    assert "course/course 2 of 5 done · 0 of 1 optional Last activity" in text
    assert "chapter/c1 2 of 3 done · 0 of 1 optional sequential/s1" in text
    assert "sequential/s2 Optional 0 of 1 optional vertical/v3 Optional 0 of 1 optional" in text
    complete(fresh, "problem/p1", "html/h3")
    text = Page(open_page(fresh, COURSE)).text
    assert "chapter/c1 Done · 1 of 1 optional sequential/s1" in text
    assert "sequential/s2 Optional Done vertical/v3 Optional Done" in text


def test_what_is_not_open_yet_is_shown_with_its_date(fresh: Any) -> None:
    start = datetime(2200, 5, 6, 8, 30, tzinfo=UTC)
    hidden = {key("chapter/c2"), key("sequential/s2"), key("vertical/v2")}
    publish_course([replace(each, start=start if each.key in hidden else None) for each in SMALL_COURSE])

    page = Page(open_page(fresh, COURSE))
    german = Page(open_page(fresh, COURSE, **{"accept-language": "de"}))

    assert page.text.endswith(
        "You have done all that is required. More opens on May 6, 2200. Go to the course Section by section "
        "chapter/c1 Done sequential/s1 Done vertical/v1 Done vertical/v2 Opens on May 6, 2200 at 8:30 a.m. "
        "sequential/s2 Opens on May 6, 2200 at 8:30 a.m. chapter/c2 Opens on May 6, 2200 at 8:30 a.m."
    )
    assert UNITS[0] in page.links
    assert UNITS[1] not in page.links
    assert german.text.endswith("chapter/c2 Öffnet am 6. Mai 2200 um 08:30 Uhr")


def test_a_course_that_has_not_started_shows_when_it_does(fresh: Any) -> None:
    start = datetime(2200, 5, 6, tzinfo=UTC)
    publish_course([replace(SMALL_COURSE[0], start=start), *SMALL_COURSE[1:]])

    page = Page(open_page(fresh, COURSE))

    assert "There is nothing to do at the moment. More opens on May 6, 2200." in page.text
    # Nothing of nothing has no percent.
    assert not [each for each in page.elements["svg"] if each.get("class") == "ring"]


def test_what_is_to_do_outside_of_sections_is_told(learner: Any) -> None:
    publish_course([replace(SMALL_COURSE[0], children=(key("html/h1"),)), *SMALL_COURSE[1:]])

    assert Page(open_page(learner, COURSE)).text.endswith(
        "There is something left to do in the course. Go to the course"
    )


def test_a_unit_without_anything_to_do_says_so(fresh: Any) -> None:
    blocks = {each.key: each for each in SMALL_COURSE}
    blocks[key("vertical/v4")] = replace(blocks[key("vertical/v4")], children=())
    publish_course(blocks.values())

    assert Page(open_page(fresh, COURSE)).text.endswith(
        "chapter/c2 Nothing to do sequential/s3 Nothing to do vertical/v4 Nothing to do"
    )


def test_a_course_that_the_lms_does_not_have_any_more_is_shown_as_it_was(fresh: Any) -> None:
    other = EnrollmentFactory().user
    Course.objects.all().delete()

    assert "33%" in Page(open_page(fresh, COURSE)).text
    assert "2 of 6 done Last activity: Feb. 3, 2026" in Page(open_page(fresh, COURSE)).text
    assert "Your progress in this course is not known at the moment." in Page(open_page(other, COURSE)).text
    assert f"{COURSE_KEY} Not known yet Not started yet" in Page(open_page(other, MY)).text


def test_names_are_shown_as_they_are(fresh: Any) -> None:
    evil = "<script>alert('&')</script>"
    publish_course([replace(each, display_name=evil) for each in SMALL_COURSE])

    for url in (MY, COURSE):
        page = Page(open_page(fresh, url))
        assert evil in page.text
        assert "script" not in page.elements


def test_a_block_without_a_name_goes_by_its_key(fresh: Any) -> None:
    publish_course([replace(each, display_name="") for each in SMALL_COURSE])

    assert Page(open_page(fresh, MY)).links[UNITS[1]] == key("vertical/v2")
    assert Page(open_page(fresh, MY)).links[COURSE] == str(COURSE_KEY)
    assert Page(open_page(fresh, COURSE)).links[UNITS[0]] == key("vertical/v1")


def test_whoever_is_not_logged_in_is_sent_to_do_so(fresh: Any, settings: Any) -> None:
    settings.LOGIN_URL = "login"

    for url in (MY, COURSE):
        response = open_page(None, url)
        assert (response.status_code, response.url) == (302, f"/login/?next={quote(url)}")


def test_only_courses_of_ones_own_are_shown(fresh: Any, staff: Any) -> None:
    former = EnrollmentFactory(is_active=False).user

    for user in (UserFactory(), staff, former):
        assert open_page(user, COURSE).status_code == 404
    for text in (
        *("nonsense", "library-v1:Org+Lib", "é", "a\0b", "course-v1:Org+Course", "course-v1:Org+Course+Other"),
        *("course-v1:org+course+run", "Org/Course/Run", "%00", "course-v1:" + 300 * "x" + "+C+R"),
    ):
        assert open_page(fresh, f"{MY}{text}/").status_code == 404


def test_the_pages_are_only_read_and_never_kept_or_framed(fresh: Any) -> None:
    client = Client()
    client.force_login(fresh)

    for url in (MY, COURSE):
        assert client.post(url).status_code == 405
        response = client.get(url)
        assert response.headers["X-Frame-Options"] == "DENY"
        assert "no-store" in response.headers["Cache-Control"]
        assert "private" in response.headers["Cache-Control"]


def test_an_old_course_has_a_page(fresh: Any) -> None:
    old = CourseKey.from_string("Org/Course/Run")
    publish_course(small_course(old), old)
    EnrollmentFactory(user=fresh, course_id=old)

    assert f"{MY}Org/Course/Run/" in Page(open_page(fresh, MY)).links
    assert "0 of 6 done" in Page(open_page(fresh, f"{MY}Org/Course/Run/")).text


@pytest.mark.parametrize("mounts", [plugin_urls, mounts])
def test_each_mount_leads_to_its_own_pages(fresh: Any, settings: Any, mounts: Any) -> None:
    settings.ROOT_URLCONF = (*mounts.urlpatterns, *urls.urlpatterns)

    for root in ("/completion-aggregator/my/", "/api/completion/my/"):
        assert f"{root}{COURSE_KEY}/" in Page(open_page(fresh, root)).links


def test_pages_cost_a_constant_number_of_queries(fresh: Any) -> None:
    client = Client()
    client.force_login(fresh)

    def count(url: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).status_code == 200
        return len(queries)

    for url in (MY, COURSE):
        count(url)
    alone = [count(MY), count(COURSE)]
    for _ in range(10):
        course_key = new_course_key()
        publish_course(small_course(course_key), course_key)
        EnrollmentFactory(user=fresh, course_id=course_key)
    for _ in range(5):
        complete(EnrollmentFactory().user, "html/h1")
    aggregate_stale()
    for url in (MY, COURSE):
        count(url)

    assert [count(MY), count(COURSE)] == alone


@pytest.mark.parametrize(("language", "direction"), [("en", "ltr"), ("de", "ltr"), ("ar", "rtl")])
def test_the_pages_follow_the_language_and_its_direction(fresh: Any, language: str, direction: str) -> None:
    for url in (MY, COURSE):
        assert Page(open_page(fresh, url, **{"accept-language": language})).elements["html"] == [
            {"lang": language, "dir": direction}
        ]
