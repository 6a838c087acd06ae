"""The progress bar page, over HTTP."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.dashboard.charts import whole_percent
from completion_aggregator.services import aggregate_stale
from tests.factories import COURSE_KEY, EnrollmentFactory, UserFactory, block, complete, key, publish_course

ROOT = "/api/completion/progress_bar/"
COURSE = f"{ROOT}{COURSE_KEY}/"
OLD_KEY = CourseKey.from_string("Org/Course/Run")


class _Page(HTMLParser):
    """The attributes of each element, by tag, and all text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: dict[str, list[dict[str, str | None]]] = {}
        self.text = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.setdefault(tag, []).append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += f" {data.strip()}" if data.strip() else ""


def show(user: Any, url: str = COURSE, **headers: str) -> Any:
    client = Client(headers=headers)
    if user is not None:
        client.force_login(user)
    return client.get(url)


def percent(user: Any, url: str = COURSE) -> int:
    """Return what the bar tells: to the eye, in words and to a screen reader, all the same."""
    response = show(user, url)
    assert response.status_code == 200
    page = _Page(response.content.decode())
    (bar,) = [each for each in page.elements["div"] if each.get("role") == "progressbar"]
    assert (bar["aria-valuemin"], bar["aria-valuemax"], bar["aria-labelledby"]) == ("0", "100", "label")
    value = int(bar["aria-valuenow"] or "")
    assert {"class": "bar", "style": f"width: {value}%"} in page.elements["div"]
    assert f" {value}%" in page.text
    return value


@pytest.fixture
def fresh(learner: Any) -> Any:
    """A learner who has done two of six things, all aggregated."""
    complete(learner, "html/h1", "problem/p1")
    aggregate_stale()
    return learner


def test_the_paths_have_the_name_of_before() -> None:
    names = {"course_key": str(COURSE_KEY)}

    assert reverse("completion-progress-bar", kwargs=names) == COURSE
    assert reverse("completion-progress-bar", kwargs=names | {"chapter_id": "c1"}) == f"{COURSE}c1/"
    assert reverse("completion-progress-bar", kwargs={"course_key": str(OLD_KEY)}) == f"{ROOT}{OLD_KEY}/"


def test_the_bar_tells_the_percent_of_the_course_and_of_a_chapter(fresh: Any) -> None:
    assert percent(fresh) == 33
    assert [percent(fresh, f"{COURSE}{chapter}/") for chapter in ("c1", "c2", key("chapter/c1"))] == [50, 0, 50]
    assert percent(fresh, f"{COURSE}{key('vertical/v2')}/") == 100


def test_a_stale_learner_sees_what_was_just_done(fresh: Any) -> None:
    complete(fresh, "html/h2")

    assert percent(fresh) == 50


def test_an_old_course_has_a_bar_and_bars_of_its_chapters(db: None) -> None:
    publish_course(
        [
            block("course/Run", "chapter/c1", "chapter/c2", course_key=OLD_KEY),
            block("chapter/c1", "html/h1", course_key=OLD_KEY),
            block("html/h1", course_key=OLD_KEY),
            block("chapter/c2", "html/h2", course_key=OLD_KEY),
            block("html/h2", course_key=OLD_KEY),
        ],
        OLD_KEY,
    )
    user = EnrollmentFactory(course_id=OLD_KEY).user
    complete(user, "html/h1", course_key=OLD_KEY)

    urls = [f"{ROOT}{OLD_KEY}/{chapter}" for chapter in ("", "c1/", "c2/", f"{key('chapter/c1', OLD_KEY)}/")]
    assert [percent(user, url) for url in urls] == [50, 100, 0, 100]


def test_whoever_is_not_enrolled_sees_an_empty_bar(fresh: Any, staff: Any) -> None:
    former = EnrollmentFactory(is_active=False).user
    complete(former, "html/h1")
    publish_course([block("course/course")], CourseKey.from_string("course-v1:Org+Empty+Run"))

    assert [percent(user) for user in (UserFactory(), staff, former)] == [0, 0, 0]
    assert percent(fresh, f"{ROOT}course-v1:Org+Empty+Run/") == 0


@pytest.mark.parametrize(
    "url",
    [f"{ROOT}course-v1:Org+Unknown+Run/", *(f"{COURSE}{chapter}/" for chapter in ("gone", "a b", "@", "é", "x:y"))],
)
def test_what_is_not_there_is_an_empty_bar(fresh: Any, url: str) -> None:
    assert percent(fresh, url) == 0


@pytest.mark.parametrize("text", ["nonsense", "library-v1:Org+Lib", "é", "a\0b", "course-v1:Org+Course"])
def test_what_is_no_course_key_is_not_found(fresh: Any, text: str) -> None:
    assert show(fresh, f"{ROOT}{text}/").status_code == 404


def test_whoever_is_not_logged_in_sees_an_empty_bar_and_the_way_to_log_in(fresh: Any, settings: Any) -> None:
    settings.LOGIN_URL = "login"

    assert percent(None) == 0
    page = _Page(show(None).content.decode())
    assert page.elements["a"] == [{"href": "/login/", "target": "_top"}]
    assert "a" not in _Page(show(fresh).content.decode()).elements


def test_the_page_may_be_framed_and_is_not_kept(fresh: Any) -> None:
    response = show(fresh)

    # The middleware of the sample LMS refuses frames elsewhere.
    assert show(fresh, "/login/").headers["X-Frame-Options"] == "DENY"
    assert "X-Frame-Options" not in response.headers
    assert "no-store" in response.headers["Cache-Control"]
    assert "private" in response.headers["Cache-Control"]


def test_the_page_needs_nothing_else_and_runs_no_script(fresh: Any) -> None:
    page = _Page(show(fresh).content.decode())

    assert not {"script", "link", "img", "iframe"} & page.elements.keys()


def test_the_page_follows_the_language_and_its_direction(fresh: Any, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]

    arabic = _Page(show(fresh, **{"accept-language": "ar"}).content.decode())
    english = _Page(show(fresh).content.decode())

    assert arabic.elements["html"] == [{"lang": "ar", "dir": "rtl"}]
    assert english.elements["html"] == [{"lang": "en", "dir": "ltr"}]


def test_the_page_is_only_read(fresh: Any) -> None:
    client = Client()
    client.force_login(fresh)

    assert client.post(COURSE).status_code == 405
    assert client.head(COURSE).status_code == 200


def test_a_bar_costs_a_constant_number_of_queries(fresh: Any) -> None:
    client = Client()
    client.force_login(fresh)
    for url in (COURSE, f"{COURSE}c1/"):
        client.get(url)

    def count(url: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            client.get(url)
        return sum(not re.search("django_session|auth_user", query["sql"].split("WHERE")[0]) for query in queries)

    alone = [count(COURSE), count(f"{COURSE}c1/")]
    for _ in range(10):
        complete(EnrollmentFactory().user, "html/h1")
    aggregate_stale()

    # Enrollment, aggregate, the LMS's version; with a chapter its aggregate.
    assert alone == [3, 4]
    assert [count(COURSE), count(f"{COURSE}c1/")] == alone


@pytest.mark.parametrize(("share", "shown"), [(0.0, 0), (1 / 3, 33), (0.29, 29), (0.999, 99), (1.0, 100)])
def test_the_bar_is_full_when_all_is_done_and_not_before(share: float, shown: int) -> None:
    assert whole_percent(share) == shown
