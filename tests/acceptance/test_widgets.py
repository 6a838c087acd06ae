"""The pages that others frame, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from opaque_keys.edx.keys import CourseKey

from completion_aggregator import plugin_urls
from completion_aggregator.services import aggregate_stale
from sample_lms import urls
from tests.acceptance import mounts
from tests.acceptance.helpers import open_page
from tests.acceptance.markup import Page
from tests.factories import COURSE_KEY, EnrollmentFactory, UserFactory, complete, publish_course, small_course

pytestmark = pytest.mark.anywhere

ROOT = "/api/completion/"
BAR, RING = (f"{ROOT}widget/{kind}/{COURSE_KEY}/" for kind in ("bar", "ring"))
MY_COURSE = f"{ROOT}my/{COURSE_KEY}/"
each_widget = pytest.mark.parametrize("url", [BAR, RING])


def percent(user: Any, url: str) -> int:
    """Return what a widget tells: to the eye and to a screen reader the same."""
    page = Page(open_page(user, url))
    (bar,) = [each for each in page.elements["div"] if each.get("role") == "progressbar"]
    value = int(bar["aria-valuenow"] or "")
    assert bar == {
        "role": "progressbar",
        "aria-labelledby": "label",
        "aria-valuemin": "0",
        "aria-valuemax": "100",
        "aria-valuenow": str(value),
    }
    assert page.elements["h1"] == [{"id": "label"}]
    assert all("aria-hidden" in each for each in page.elements["svg"])
    assert f"{value}%" in page.text
    return value


@pytest.fixture
def fresh(learner: Any) -> Any:
    """A learner who has done two of six things, all aggregated."""
    complete(learner, "html/h1", "problem/p1")
    aggregate_stale()
    return learner


def test_the_widgets_have_names() -> None:
    for name, url in (("completion-widget-bar", BAR), ("completion-widget-ring", RING)):
        assert reverse(name, kwargs={"course_key": str(COURSE_KEY)}) == url


def test_the_widgets_tell_how_far_the_learner_has_come(fresh: Any) -> None:
    assert Page(open_page(fresh, BAR)).text == "Course progress 33% Show my progress"
    assert Page(open_page(fresh, RING)).text == "33% Course progress Show my progress"


@each_widget
def test_a_widget_tells_what_was_just_done(fresh: Any, url: str) -> None:
    assert percent(fresh, url) == 33
    complete(fresh, "html/h2")
    assert percent(fresh, url) == 50
    complete(fresh, "html/h3", "html/h4")
    complete(fresh, "video/m1", value=0.99)
    assert percent(fresh, url) == 99
    complete(fresh, "video/m1")
    assert percent(fresh, url) == 100


@each_widget
def test_a_widget_leads_out_of_its_frame(fresh: Any, settings: Any, url: str) -> None:
    settings.LOGIN_URL = "login"

    def links(user: Any) -> Any:
        return Page(open_page(user, url)).elements.get("a")

    assert links(fresh) == [{"href": MY_COURSE, "target": "_top"}]
    assert links(None) == [{"href": "/login/", "target": "_top"}]
    assert links(UserFactory()) is None


@each_widget
def test_whoever_is_not_in_the_course_sees_an_empty_widget(fresh: Any, staff: Any, url: str) -> None:
    former = EnrollmentFactory(is_active=False).user
    complete(former, "html/h1")

    assert [percent(user, url) for user in (None, staff, former)] == [0, 0, 0]
    assert percent(fresh, url.replace("+Course+", "+Unknown+")) == 0
    # Nobody sees another's, whatever is asked for.
    assert percent(staff, f"{url}?username={fresh.username}") == 0


@each_widget
@pytest.mark.parametrize("text", ["nonsense", "library-v1:Org+Lib", "é", "a\0b", "course-v1:Org+Course"])
def test_what_is_no_course_key_is_not_found(fresh: Any, url: str, text: str) -> None:
    assert open_page(fresh, url.replace(str(COURSE_KEY), text)).status_code == 404


@each_widget
def test_a_widget_may_be_framed_and_is_not_kept(fresh: Any, url: str) -> None:
    for user in (fresh, None):
        response = open_page(user, url)
        assert "X-Frame-Options" not in response.headers
        assert "no-store" in response.headers["Cache-Control"]
        assert "private" in response.headers["Cache-Control"]


@each_widget
def test_a_widget_runs_no_script_and_has_no_style_of_its_own(fresh: Any, url: str) -> None:
    page = Page(open_page(fresh, url))

    assert not {"script", "style", "iframe", "img"} & page.elements.keys()
    assert not [attributes for each in page.elements.values() for attributes in each if "style" in attributes]
    assert [each["href"] for each in page.elements["link"] if each["rel"] == "stylesheet"] == [
        "/static/completion_aggregator/style.css"
    ]


@each_widget
def test_a_widget_is_only_read(fresh: Any, url: str) -> None:
    client = Client()
    client.force_login(fresh)

    assert client.post(url).status_code == 405
    assert client.head(url).status_code == 200


@each_widget
@pytest.mark.parametrize(("language", "direction"), [("en", "ltr"), ("de", "ltr"), ("ar", "rtl")])
def test_a_widget_follows_the_language_and_its_direction(fresh: Any, url: str, language: str, direction: str) -> None:
    page = Page(open_page(fresh, url, **{"accept-language": language}))

    assert page.elements["html"] == [{"lang": language, "dir": direction}]
    assert ("33\u00a0%" in page.text or "33 %" in page.text) == (language == "de")


@each_widget
def test_an_old_course_has_widgets(db: None, url: str) -> None:
    old = CourseKey.from_string("Org/Course/Run")
    publish_course(small_course(old), old)
    user = EnrollmentFactory(course_id=old).user
    complete(user, "html/h1", "html/h2", "html/h3", course_key=old)

    assert percent(user, url.replace(str(COURSE_KEY), str(old))) == 50


@pytest.mark.parametrize("places", [plugin_urls, mounts])
def test_each_mount_leads_to_its_own_page(fresh: Any, settings: Any, places: Any) -> None:
    settings.ROOT_URLCONF = (*places.urlpatterns, *urls.urlpatterns)

    for root in ("/completion-aggregator/", "/api/completion/"):
        for url in (BAR, RING):
            page = Page(open_page(fresh, url.replace(ROOT, root)))
            assert page.links == {MY_COURSE.replace(ROOT, root): "Show my progress"}


@each_widget
def test_a_widget_costs_a_constant_number_of_queries(fresh: Any, url: str) -> None:
    client = Client()
    client.force_login(fresh)
    client.get(url)

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(url)
        return len(queries)

    alone = count()
    for _ in range(10):
        complete(EnrollmentFactory().user, "html/h1")
    aggregate_stale()

    # Session and user; enrollment, aggregate, the LMS's version.
    assert [alone, count()] == [5, 5]
