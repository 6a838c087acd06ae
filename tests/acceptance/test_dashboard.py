"""The dashboard, over HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from bs4 import BeautifulSoup, Tag
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.views.generic import TemplateView
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.dashboard import forms
from completion_aggregator.dashboard import staff as pages
from completion_aggregator.models import Course as AggregatedCourse
from completion_aggregator.models import CourseAggregate, CourseSnapshot, SnapshotWish, StaleCompletion
from completion_aggregator.selectors import courses
from completion_aggregator.services import aggregate_stale
from completion_aggregator.services.snapshots import take_snapshots, want_snapshot
from sample_lms.lms import SampleLMS
from sample_lms.models import Block, Cohort, CohortMembership, CourseAccessRole
from tests.acceptance.helpers import OTHER_KEY, open_page
from tests.factories import (
    COURSE_KEY,
    EnrollmentFactory,
    MembershipFactory,
    RoleFactory,
    UserFactory,
    block,
    complete,
    publish_course,
    small_course,
)

pytestmark = pytest.mark.anywhere

LIST = "/api/completion/dashboard/"
COURSE = f"{LIST}{COURSE_KEY}/"
OLD_KEY = CourseKey.from_string("Org/Course/Run")
ALL = ("html/h1", "html/h2", "problem/p1", "html/h3", "html/h4", "video/m1")


def learner_url(user: Any, course_key: CourseKey = COURSE_KEY) -> str:
    return f"{LIST}{course_key}/learners/{user.pk}/"


def show(user: Any, url: str, query: dict[str, Any] | None = None, **headers: str) -> BeautifulSoup:
    """Return the page; its ids are there once, and whatever refers to one finds it."""
    response = open_page(user, url, query, **headers)
    assert response.status_code == 200, response.content[:500]
    page = BeautifulSoup(response.content, "html.parser")
    ids = [str(each["id"]) for each in page.select("[id]")]
    assert len(set(ids)) == len(ids)
    for name in ("for", "aria-labelledby", "aria-describedby"):
        assert {each for tag in page.select(f"[{name}]") for each in str(tag[name]).split()} <= set(ids)
    assert not page.select("[style], script, style")
    return page


def words(tag: Tag | None) -> str:
    assert tag is not None
    return " ".join(tag.get_text(" ").split())


def rows(page: BeautifulSoup, table: str) -> list[list[str]]:
    return [[words(cell) for cell in row.select("th, td")] for row in page.select(f"{table} tbody tr")]


def figures(page: BeautifulSoup) -> dict[str, str]:
    return {words(each.dt): words(each.dd) for each in page.select("#figures > div")}


def names(page: BeautifulSoup) -> list[str]:
    """Return the usernames of the learners in the table."""
    return [words(row.select("bdi")[-1]) for row in page.select("#roster tbody tr")]


def errors(page: BeautifulSoup) -> dict[str, str]:
    """Return what is wrong, by the name of the field that is marked."""
    found = {}
    for field in page.select("[aria-invalid=true]"):
        described = str(field["aria-describedby"]).split()
        found[str(field["name"])] = words(page.find(id=described[-1]))  # type: ignore[arg-type]
    return found


def enroll(*done: Iterable[str], course_key: CourseKey = COURSE_KEY) -> list[Any]:
    """Enroll learners who have done these blocks, all aggregated."""
    found = []
    for blocks in done:
        found.append(EnrollmentFactory(course_id=course_key).user)
        complete(found[-1], *blocks, course_key=course_key)
    aggregate_stale()
    return found


def take_all_snapshots() -> None:
    """Take a snapshot of each course, whatever was taken before."""
    SnapshotWish.objects.all().delete()
    for course in AggregatedCourse.objects.all():
        want_snapshot(course.pk)
    take_snapshots(timezone.now())


@pytest.fixture
def trio(course: Any) -> list[Any]:
    """Three learners of the small course: who has done nothing, a third, all."""
    first, second, third = enroll((), ALL[:2], ALL)
    for user, name in ((first, "amy"), (second, "bob"), (third, "cyd")):
        user.username = name
        user.save()
    return [first, second, third]


# Who may see what.

PEOPLE = {
    "learner": (403, 403, 403),
    "outsider": (403, 403, 403),
    "beta tester": (403, 403, 403),
    "course staff": (200, 200, 200),
    "course staff elsewhere": (200, 403, 403),
    "org staff": (200, 200, 200),
    "global staff": (200, 200, 200),
}


@pytest.mark.parametrize("person", PEOPLE)
def test_who_may_see_which_page(person: str, trio: list[Any]) -> None:
    publish_course(small_course(OTHER_KEY), OTHER_KEY)
    EnrollmentFactory(course_id=OTHER_KEY)
    user = {
        "learner": lambda: trio[0],
        "outsider": UserFactory,
        "beta tester": lambda: RoleFactory(role="beta_testers").user,
        "course staff": lambda: RoleFactory().user,
        "course staff elsewhere": lambda: RoleFactory(course_id=OTHER_KEY).user,
        "org staff": lambda: RoleFactory(course_id=None, org="Org").user,
        "global staff": lambda: UserFactory(is_staff=True),
    }[person]()

    assert tuple(open_page(user, url).status_code for url in (LIST, COURSE, learner_url(trio[1]))) == PEOPLE[person]


def test_whoever_is_not_logged_in_is_sent_to_log_in(trio: list[Any], settings: Any) -> None:
    settings.LOGIN_URL = "login"

    for url in (LIST, COURSE, learner_url(trio[0]), f"{LIST}nonsense/", f"{LIST}course-v1:Org+Unknown+Run/"):
        response = open_page(None, url)
        assert (response.status_code, response["Location"]) == (302, f"/login/?{urlencode({'next': url}, safe='/')}")


def test_what_is_not_there_is_not_found(trio: list[Any], staff: Any) -> None:
    publish_course(small_course(OTHER_KEY), OTHER_KEY)
    elsewhere = EnrollmentFactory(course_id=OTHER_KEY).user
    former = EnrollmentFactory(is_active=False).user

    for url in (
        f"{LIST}nonsense/",
        f"{LIST}library-v1:Org+Lib/",
        f"{LIST}course-v1:Org+Unknown+Run/",
        f"{LIST}a\0b/",
        f"{LIST}nonsense/learners/{trio[0].pk}/",
        f"{COURSE}learners/abc/",
        f"{COURSE}learners/0/",
        f"{COURSE}learners/{'9' * 19}/",
        f"{COURSE}learners/{'9' * 5000}/",
        learner_url(elsewhere),
        learner_url(former),
        learner_url(staff),
        f"{LIST}{str(COURSE_KEY).lower()}/",
        learner_url(trio[0], CourseKey.from_string(str(COURSE_KEY).replace("Org", "org"))),
    ):
        assert open_page(staff, url).status_code == 404, url


def test_pages_are_only_read_and_not_kept_and_not_framed(trio: list[Any], staff: Any) -> None:
    client = Client()
    client.force_login(staff)

    for url in (LIST, COURSE, learner_url(trio[0])):
        assert client.post(url).status_code == 405
        response = client.get(url)
        assert response.headers["X-Frame-Options"] == "DENY"
        assert "no-store" in response.headers["Cache-Control"]


# The list of courses.


def test_the_list_shows_the_newest_figures_of_each_course(trio: list[Any], staff: Any) -> None:
    publish_course(small_course(OTHER_KEY), OTHER_KEY)
    enroll(ALL, course_key=OTHER_KEY)
    take_all_snapshots()
    CourseSnapshot.objects.filter(course__course_key=str(OTHER_KEY)).delete()

    page = show(staff, LIST)

    (first, second) = rows(page, "#courses")
    assert first[:-1] == [f"course/course {COURSE_KEY}", "3", "2", "1", "44%"]
    assert second == [str(OTHER_KEY), "No figures yet"]
    assert [each["href"] for each in page.select("#courses a")] == [COURSE, f"{LIST}{OTHER_KEY}/"]
    assert words(page.title) == "Courses"


def test_course_staff_see_their_courses_alone(trio: list[Any]) -> None:
    publish_course(small_course(OTHER_KEY), OTHER_KEY)
    enroll(ALL, course_key=OTHER_KEY)

    assert [row[0] for row in rows(show(RoleFactory().user, LIST), "#courses")] == [str(COURSE_KEY)]
    both = RoleFactory(course_id=None, org="Org").user
    assert [row[0] for row in rows(show(both, LIST), "#courses")] == [str(COURSE_KEY), str(OTHER_KEY)]
    new_key = CourseKey.from_string("course-v1:New+Course+Run")
    publish_course(small_course(new_key), new_key)
    page = show(RoleFactory(course_id=new_key).user, LIST)
    assert "There are no courses yet." in words(page.main)


def test_the_lms_is_asked_once_in_a_while_where_somebody_works_but_each_time_who_may_see_what(trio: list[Any]) -> None:
    client = Client()
    client.force_login(trio[0])
    lists = [client.get("/api/completion/my/") for _ in range(2)]
    assert not any("/dashboard/" in page.text for page in lists)
    RoleFactory(user=trio[0])

    # The way there appears later; whoever knows it may go already.
    assert "/dashboard/" not in client.get("/api/completion/my/").text
    assert client.get("/api/completion/dashboard/").status_code == 200
    cache.clear()
    assert "/dashboard/" in client.get("/api/completion/my/").text
    CourseAccessRole.objects.all().delete()
    assert client.get("/api/completion/dashboard/").status_code == 403


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", [COURSE_KEY, OTHER_KEY]),
        ("OTHER", [OTHER_KEY]),
        ("SE/COU", [COURSE_KEY, OTHER_KEY]),
        ("%", []),
        ("zzz", []),
    ],
)
def test_courses_are_found_by_name_or_key(trio: list[Any], staff: Any, search: str, found: list[Any]) -> None:
    publish_course(small_course(OTHER_KEY), OTHER_KEY)
    enroll((), course_key=OTHER_KEY)
    take_all_snapshots()

    page = show(staff, LIST, {"search": search})

    assert [words(row.select("span.muted")[0]) for row in page.select("#courses tbody tr")] == list(map(str, found))


def test_the_list_has_pages(course: Any, staff: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "COURSES_PER_PAGE", 2)
    for number in range(5):
        AggregatedCourse.objects.create(course_key=f"course-v1:Org+C{number}+Run", version="1")

    def courses_of(page: BeautifulSoup) -> list[str]:
        return [row[0][len("course-v1:Org+") :][:2] for row in rows(page, "#courses")]

    first = show(staff, LIST, {"search": "c"})
    (following,) = first.select("a[rel=next]")
    second = show(staff, f"{LIST}{following['href']}")
    assert (courses_of(first), courses_of(second)) == (["C0", "C1"], ["C2", "C3"])
    assert parse_qs(urlsplit(str(following["href"])).query) == {"search": ["c"], "page": ["2"]}
    assert "Page 2 of 3" in words(second.select_one("nav.pages"))
    assert courses_of(show(staff, LIST, {"page": "99"})) == ["C4"]
    assert courses_of(show(staff, LIST, {"page": "nonsense"})) == ["C0", "C1"]


# The page of a course.


def test_a_course_shows_how_far_the_class_has_come(trio: list[Any], staff: Any) -> None:
    take_all_snapshots()

    page = show(staff, COURSE)

    assert words(page.h1) == "course/course"
    assert figures(page) == {
        "Enrolled": "3",
        "Not started": "1",
        "In progress": "1",
        "Finished": "1",
        "Mean": "44%",
        "Median": "33%",
        "At risk": "1",
    }
    sections = page.find("section", attrs={"aria-labelledby": "sections"})
    assert [[words(cell) for cell in row.select("th, td")] for row in sections.select("tbody tr")] == [  # type: ignore[union-attr]
        ["chapter/c1", "", "2", "1"],
        ["chapter/c2", "", "1", "1"],
    ]
    distribution = page.find("section", attrs={"aria-labelledby": "distribution"})
    counts = [[words(cell) for cell in row.select("th, td")] for row in distribution.select("tbody tr")]  # type: ignore[union-attr]
    assert [row for row in counts if row[1] != "0"] == [
        ["0%", "1"],
        ["above 30%, up to 40%", "1"],
        ["above 90%, up to 100%", "1"],
    ]
    # Today alone is no trend, and the course is not cohorted.
    assert not page.select("#over-time, #cohorts")


def test_a_course_without_a_snapshot_is_worked_out(trio: list[Any], staff: Any) -> None:
    CourseSnapshot.objects.all().delete()

    assert figures(show(staff, COURSE))["Mean"] == "44%"


def test_the_figures_are_those_of_the_snapshot_and_say_so(trio: list[Any], staff: Any) -> None:
    take_all_snapshots()
    moment = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
    CourseSnapshot.objects.update(enrolled=1234, computed_at=moment)

    page = show(staff, COURSE)

    assert figures(page)["Enrolled"] == "1,234"
    assert words(page.find(id="freshness")).startswith("As of March 4, 2026, 5:06 a.m. all learners")  # type: ignore[arg-type]


def test_a_course_shows_its_cohorts_and_its_trend(trio: list[Any], staff: Any) -> None:
    publish_course(cohorts=["Red <b>"])
    red = Cohort.objects.get()
    MembershipFactory(cohort=red, user=trio[2])
    aggregate_stale()
    take_all_snapshots()
    (newest,) = CourseSnapshot.objects.all()
    CourseSnapshot.objects.create(
        course=newest.course,
        day=newest.day - timedelta(days=2),
        computed_at=newest.computed_at - timedelta(days=2),
        enrolled=4,
        started=1,
        completed=0,
        mean=0.1,
        details=newest.details,
    )

    page = show(staff, COURSE)

    cohorts = page.find("section", attrs={"aria-labelledby": "cohorts"})
    found = [[words(cell) for cell in row.select("th, td")] for row in cohorts.select("tbody tr")]  # type: ignore[union-attr]
    assert ["Red <b>", "100%", "1"] in found
    assert ["In no cohort", "17%", "2"] in found
    trend = page.find("section", attrs={"aria-labelledby": "over-time"})
    days = [[words(cell) for cell in row.select("td")] for row in trend.select("tbody tr")]  # type: ignore[union-attr]
    assert days == [["44%", "67%", "33%"], ["10%", "25%", "0%"]]
    assert trend.polyline is not None  # type: ignore[union-attr]
    assert trend.polyline["points"] == "0.00,90.00 100.00,90.00 100.00,55.56 100.00,55.56"  # type: ignore[union-attr]


def test_a_course_tells_what_waits_to_be_counted(trio: list[Any], staff: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def freshness() -> str:
        return words(show(staff, COURSE).find(id="freshness"))  # type: ignore[arg-type]

    assert "all learners are counted up to date last counted" in freshness()
    complete(trio[0], "html/h1", "html/h2")
    assert "1 learner has done more since being counted" in freshness()
    complete(trio[1], "html/h3")
    assert "2 learners have done more since being counted" in freshness()
    CourseAggregate.objects.update(queued_until=timezone.now() + timedelta(hours=1))
    assert freshness().endswith("counting now")
    monkeypatch.setattr(courses, "MAX_MARKERS", 2)
    assert "many learners have done more since they were counted" in freshness()


def test_a_course_without_learners_is_shown(course: Any, staff: Any) -> None:
    page = show(staff, COURSE)

    assert figures(page)["Enrolled"] == "0"
    assert "Nobody is enrolled." in words(page.main)


def test_an_old_course_has_its_pages(db: None, staff: Any) -> None:
    publish_course([block("course/Run", "html/h1", course_key=OLD_KEY), block("html/h1", course_key=OLD_KEY)], OLD_KEY)
    (user,) = enroll(("html/h1",), course_key=OLD_KEY)

    (link,) = show(staff, LIST).select("#courses a")
    assert link["href"] == f"{LIST}Org/Course/Run/"
    (row,) = show(staff, str(link["href"])).select("#roster tbody a")
    assert row["href"] == f"{LIST}Org/Course/Run/learners/{user.pk}/"
    assert "100%" in words(show(staff, str(row["href"])).main)


# The table of learners.


def test_the_table_shows_each_learner(trio: list[Any], staff: Any) -> None:
    trio[2].first_name, trio[2].last_name = "Cyd", "Charisse"
    trio[2].save()
    complete(trio[1], "html/h3")
    new = EnrollmentFactory(user=UserFactory(username="dan")).user

    page = show(staff, COURSE, {"ordering": "username"})

    today = date_format(timezone.localtime(), "SHORT_DATE_FORMAT")
    assert rows(page, "#roster") == [
        ["amy", "0%", "0 / 6", "never", "At risk"],
        ["bob", "33%", "2 / 6", today, "Not up to date"],
        ["Cyd Charisse cyd", "100%", "6 / 6", today, "Finished"],
        ["dan", "0%", "–", "never", "At risk Not up to date"],
    ]
    assert [each["href"] for each in page.select("#roster tbody a")] == list(map(learner_url, [*trio, new]))
    assert "4 learners" in words(page.find(attrs={"role": "status"}))  # type: ignore[arg-type]


FILTERS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing": ({}, ["amy", "bob", "cyd"]),
    "search": ({"search": "B"}, ["bob"]),
    "search by name": ({"search": "charis"}, ["cyd"]),
    "from what is shown": ({"percent_from": "33"}, ["bob", "cyd"]),
    "to what is shown": ({"percent_to": "33"}, ["amy", "bob"]),
    "from above": ({"percent_from": "34"}, ["cyd"]),
    "to below": ({"percent_to": "32"}, ["amy"]),
    "all of it": ({"percent_from": "100", "percent_to": "100"}, ["cyd"]),
    "not all of it": ({"percent_to": "99"}, ["amy", "bob"]),
    "not started": ({"status": "not_started"}, ["amy"]),
    "in progress": ({"status": "in_progress"}, ["bob"]),
    "finished": ({"status": "completed"}, ["cyd"]),
    "inactive": ({"inactive_days": "10"}, ["amy", "bob"]),
    "long inactive": ({"inactive_days": "30"}, ["amy"]),
    "at risk": ({"at_risk": "on"}, ["amy", "bob"]),
    "at risk, from": ({"at_risk": "on", "percent_from": "1"}, ["bob"]),
    "at risk, long inactive": ({"at_risk": "on", "inactive_days": "30"}, ["amy"]),
    "role": ({"role": "beta_testers"}, ["bob"]),
    "no role": ({"role": "none"}, ["amy", "cyd"]),
    "cohort": ({"cohort": "RED"}, ["amy", "bob"]),
    "all at once": ({"cohort": "RED", "search": "b", "status": "in_progress", "role": "beta_testers"}, ["bob"]),
}


@pytest.fixture
def mixed(trio: list[Any]) -> list[Any]:
    """The three, told apart in all that they can be found by."""
    trio[2].last_name = "Charisse"
    trio[2].save()
    # Aggregated by now: the publication makes everybody stale.
    publish_course(cohorts=["Red"])
    red = Cohort.objects.get()
    for user in trio[:2]:
        MembershipFactory(cohort=red, user=user)
    RoleFactory(user=trio[1], role="beta_testers")
    aggregate_stale()
    CourseAggregate.objects.filter(user=trio[1]).update(last_modified=timezone.now() - timedelta(days=20))
    return trio


def with_cohort(query: dict[str, Any]) -> dict[str, Any]:
    red = CohortMembership.objects.values_list("cohort_id", flat=True)[0]
    return {name: red if value == "RED" else value for name, value in query.items()}


@pytest.mark.parametrize("case", FILTERS)
def test_the_table_is_narrowed_by_filters(mixed: list[Any], staff: Any, case: str) -> None:
    query, found = FILTERS[case]

    page = show(staff, COURSE, {**with_cohort(query), "ordering": "username"})

    assert (names(page), errors(page)) == (found, {})
    assert words(page.find(attrs={"role": "status"})).startswith(f"{len(found)} learner")  # type: ignore[arg-type]


@pytest.mark.parametrize("case", FILTERS)
def test_the_export_is_of_the_same_learners_in_the_same_order(mixed: list[Any], staff: Any, case: str) -> None:
    query, found = FILTERS[case]
    page = show(staff, COURSE, {**with_cohort(query), "ordering": "-username"})
    client = Client()
    client.force_login(staff)

    (link,) = page.select("a[download]")
    response = client.get(str(link["href"]))

    assert response.status_code == 200
    head, *lines = b"".join(response).decode().splitlines()  # type: ignore[call-overload]
    place = head.lstrip("\ufeff").split(",").index("username")
    assert [line.split(",")[place] for line in lines] == found[::-1]


def test_filters_stay_filled_in(mixed: list[Any], staff: Any) -> None:
    query = with_cohort({"search": "b", "percent_from": "5", "cohort": "RED", "at_risk": "on", "ordering": "percent"})

    page = show(staff, COURSE, query)

    shown = {str(field["name"]): field.get("value") for field in page.select("main form input") if field.get("value")}
    chosen = {str(each["name"]): each.find("option", selected=True)["value"] for each in page.select("main select")}  # type: ignore[index]
    assert shown == {"search": "b", "percent_from": "5"}
    assert chosen == {"status": "", "cohort": str(query["cohort"]), "role": "", "ordering": "percent"}
    assert page.select_one("input[name=at_risk]").has_attr("checked")  # type: ignore[union-attr]
    assert page.select_one("details[open]") is not None


def test_what_the_lms_does_not_have_is_not_offered(
    trio: list[Any], staff: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = {str(each["name"]) for each in show(staff, COURSE).select("main form [name]")}
    monkeypatch.setattr(SampleLMS, "capabilities", frozenset())

    page = show(staff, COURSE, {"role": "staff", "cohort": "1"})

    assert {str(each["name"]) for each in page.select("main form [name]")} == everything - {"role"}
    assert names(page) != []


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ({"percent_from": "abc"}, {"percent_from": "Enter a whole number."}),
        ({"percent_from": "-1"}, {"percent_from": "Ensure this value is greater than or equal to 0."}),
        ({"percent_to": "101"}, {"percent_to": "Ensure this value is less than or equal to 100."}),
        ({"percent_to": "9" * 5000}, {"percent_to": "Enter a whole number."}),
        ({"percent_from": "80", "percent_to": "20"}, {"percent_to": "This is less than where it begins."}),
        ({"inactive_days": "0"}, {"inactive_days": "Ensure this value is greater than or equal to 1."}),
        ({"inactive_days": "9" * 9}, {"inactive_days": "Ensure this value is less than or equal to 36500."}),
        ({"status": "x"}, {"status": "Select a valid choice. x is not one of the available choices."}),
        ({"role": "king"}, {"role": "Select a valid choice. king is not one of the available choices."}),
        ({"cohort": "0"}, {"cohort": "Select a valid choice. 0 is not one of the available choices."}),
        ({"cohort": "<i>"}, {"cohort": "Select a valid choice. <i> is not one of the available choices."}),
        ({"ordering": "user_id"}, {"ordering": "Select a valid choice. user_id is not one of the available choices."}),
        ({"search": "x" * 256}, {"search": "Ensure this value has at most 255 characters (it has 256)."}),
        ({"search": "a\0b"}, {"search": "Null characters are not allowed."}),
        (
            {"percent_from": "x", "inactive_days": "x"},
            {"percent_from": "Enter a whole number.", "inactive_days": "Enter a whole number."},
        ),
    ],
)
def test_what_is_wrong_is_told_beside_its_field(
    mixed: list[Any], staff: Any, query: dict[str, str], wrong: dict[str, str]
) -> None:
    page = show(staff, COURSE, query)

    assert errors(page) == wrong
    assert page.select("#roster, a[download]") == []
    # The figures above are of everybody; no wrong question takes them away.
    assert figures(page)["Enrolled"] == "3"


def test_a_wrong_search_for_courses_is_told(trio: list[Any], staff: Any) -> None:
    page = show(staff, LIST, {"search": "x" * 256})

    assert list(errors(page)) == ["search"]
    assert page.select("#courses") == []


@pytest.mark.parametrize(
    ("ordering", "found"),
    [
        ("username", ["amy", "bob", "cyd"]),
        ("-username", ["cyd", "bob", "amy"]),
        ("percent", ["amy", "bob", "cyd"]),
        ("-percent", ["cyd", "bob", "amy"]),
        ("last_activity", ["amy", "bob", "cyd"]),
        ("-last_activity", ["cyd", "bob", "amy"]),
        ("", ["cyd", "bob", "amy"]),
    ],
)
def test_the_table_is_sorted(mixed: list[Any], staff: Any, ordering: str, found: list[str]) -> None:
    assert names(show(staff, COURSE, {"ordering": ordering})) == found


def test_the_heads_of_columns_sort_and_tell_how(trio: list[Any], staff: Any) -> None:
    def heads(query: dict[str, str]) -> list[tuple[str | None, str]]:
        links = show(staff, COURSE, query).select("#roster thead a")
        orderings = [parse_qs(urlsplit(str(link["href"])).query) for link in links]
        assert all({"search": ["y"]}.items() <= each.items() and "cursor" not in each for each in orderings)
        return [
            (link.find_parent("th").get("aria-sort"), each["ordering"][0])  # type: ignore[union-attr,misc]
            for link, each in zip(links, orderings, strict=True)
        ]

    assert heads({"search": "y"}) == [(None, "username"), (None, "percent"), ("descending", "last_activity")]
    assert heads({"search": "y", "ordering": "username"}) == [
        ("ascending", "-username"),
        (None, "percent"),
        (None, "-last_activity"),
    ]
    assert heads({"search": "y", "ordering": "-percent"}) == [
        (None, "username"),
        ("descending", "percent"),
        (None, "-last_activity"),
    ]


@pytest.mark.parametrize("ordering", list(forms.ORDERINGS))
def test_a_walk_through_the_pages_meets_everybody_once(
    course: Any, staff: Any, monkeypatch: pytest.MonkeyPatch, ordering: str
) -> None:
    monkeypatch.setattr(pages, "LEARNERS_PER_PAGE", 2)
    enroll(*(ALL[:number] for number in range(5)))
    query = {"search": "learner", "ordering": ordering}

    page = show(staff, COURSE, query)
    met = [names(page)]
    assert not page.select("a[rel=prev]")
    while link := page.select_one("a[rel=next]"):
        page = show(staff, f"{COURSE}{link['href']}".split("#", 1)[0])
        met.append(names(page))

    assert [len(each) for each in met] == [2, 2, 1]
    assert len({name for each in met for name in each}) == 5
    (back,) = page.select("a[rel=prev]")
    assert names(show(staff, f"{COURSE}{back['href']}".split("#", 1)[0])) == met[1]
    (first,) = [each for each in page.select("nav.pages a") if words(each) == "First"]
    assert names(show(staff, f"{COURSE}{first['href']}".split("#", 1)[0])) == met[0]


@pytest.mark.parametrize("cursor", ["nonsense", "é", "\0", "W10=", "x" * 10_000])
def test_a_cursor_that_is_none_is_not_found(trio: list[Any], staff: Any, cursor: str) -> None:
    assert open_page(staff, COURSE, {"cursor": cursor}).status_code == 404


def test_nobody_left_is_told(trio: list[Any], staff: Any) -> None:
    assert "Nobody is left by these filters." in words(show(staff, COURSE, {"search": "zzz"}).main)


# The page of a learner.


def test_a_learner_is_shown_block_by_block(trio: list[Any], staff: Any) -> None:
    page = show(staff, learner_url(trio[1]))

    assert words(page.h1) == "bob"
    today = date_format(timezone.localtime(), "DATE_FORMAT")
    assert figures(page) == {"Done": "2 of 6", "Last activity": today, "Finished": "not yet"}
    assert [words(each) for each in page.select(".tree summary")] == [
        "chapter/c1 2 of 4",
        "sequential/s1 2 of 3",
        "vertical/v1 2 of 2",
        "vertical/v2 0 of 1",
        "sequential/s2 0 of 1",
        "vertical/v3 0 of 1",
        "chapter/c2 0 of 2",
        "sequential/s3 0 of 2",
        "vertical/v4 0 of 2",
    ]
    assert [words(each) for each in page.select(".tree .leaf")] == [
        "html/h1 Done",
        "html/h2 Done",
        "discussion/d1 Does not count",
        "problem/p1 Missing",
        "html/h3 Missing",
        "html/h4 Missing",
        "video/m1 Missing",
    ]
    assert [words(each.summary) for each in page.select(".tree details[open]")] == ["chapter/c1 2 of 4"]
    assert page.select_one("svg.ring")["aria-label"] == "Progress in the course: 33%"  # type: ignore[index]


def test_a_learner_who_has_finished_sees_when(trio: list[Any], staff: Any) -> None:
    CourseAggregate.objects.filter(user=trio[2]).update(completed_at=datetime(2026, 3, 4, 5, 6, tzinfo=UTC))

    assert figures(show(staff, learner_url(trio[2])))["Finished"] == "March 4, 2026"


def test_a_learner_sees_what_is_optional_or_not_open_or_begun_and_why(db: None, staff: Any) -> None:
    opening = timezone.now() + timedelta(days=400)
    publish_course(
        [
            block("course/course", "chapter/c1", "chapter/c2", "chapter/c3", "chapter/c4"),
            block("chapter/c1", "html/h1"),
            block("html/h1"),
            block("chapter/c2", "html/h2", optional=True),
            block("html/h2", optional=True),
            block("chapter/c3", "html/h3", start=opening),
            block("html/h3"),
            block("chapter/c4", "html/h4", staff_only=True),
            block("html/h4"),
        ]
    )
    user = EnrollmentFactory().user
    complete(user, "html/h1", value=0.25)
    complete(user, "html/h2")
    aggregate_stale()

    page = show(staff, learner_url(user))

    assert [words(each) for each in page.select(".tree summary")] == [
        "chapter/c1 0.2 of 1",
        "chapter/c2 Optional 1 of 1",
    ]
    assert [words(each) for each in page.select(".tree .leaf")] == [
        "html/h1 25%",
        "html/h2 Optional Done",
        f"chapter/c3 Opens on {date_format(timezone.localtime(opening), 'DATE_FORMAT')}",
        "chapter/c4 For staff only",
    ]
    assert figures(page)["Optional"] == "1 of 1"


def test_a_stale_learner_is_shown_as_of_now(trio: list[Any], staff: Any) -> None:
    complete(trio[0], *ALL[:3])

    page = show(staff, learner_url(trio[0]))

    assert figures(page)["Done"] == "3 of 6"
    assert "Lists and figures of the class do not know all of this yet." in words(page.main)
    StaleCompletion.objects.update(last_error="Out of <luck>")
    assert "Out of <luck>" in words(show(staff, learner_url(trio[0])).main)


# All pages.


def test_names_are_shown_as_they_are(staff: Any) -> None:
    nasty = "<script>alert('x')</script>&amp;"
    publish_course([block("course/course", "html/h1", course_key=COURSE_KEY), block("html/h1")])
    Block.objects.update(display_name=nasty)
    user = EnrollmentFactory(user=UserFactory(username="x", first_name="<b>", last_name="</td>")).user
    complete(user, "html/h1")
    aggregate_stale()
    take_all_snapshots()

    assert words(show(staff, LIST).select_one("#courses tbody a")) == nasty
    page = show(staff, COURSE, {"search": "<"})
    assert (words(page.h1), rows(page, "#roster")[0][0]) == (nasty, "<b> </td> x")
    page = show(staff, learner_url(user))
    assert (words(page.h1), words(page.select_one(".tree .name"))) == ("<b> </td>", nasty)
    page = show(staff, COURSE, {"search": '"><script>'})
    assert page.select_one("#filter-search")["value"] == '"><script>'  # type: ignore[index]


def test_pages_follow_the_language_and_its_direction(trio: list[Any], staff: Any, settings: Any) -> None:
    if "django.middleware.locale.LocaleMiddleware" not in settings.MIDDLEWARE:
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]

    for url in (LIST, COURSE, learner_url(trio[1])):
        arabic, english = (show(staff, url, **{"accept-language": language}) for language in ("ar", "en"))
        assert (arabic.html["lang"], arabic.html["dir"]) == ("ar", "rtl")  # type: ignore[index]
        assert (english.html["lang"], english.html["dir"]) == ("en", "ltr")  # type: ignore[index]
    arabic = show(staff, COURSE, {"ordering": "username"}, **{"accept-language": "ar"})
    fills = [(each["x"], each["width"]) for each in arabic.select("#roster .fill")]
    assert fills == [("67%", "33%"), ("0%", "100%")]


def test_every_page_has_the_frame_that_it_needs(trio: list[Any], staff: Any) -> None:
    for url in (LIST, COURSE, learner_url(trio[0])):
        page = show(staff, url)
        assert [each["href"] for each in page.select("link[rel=stylesheet]")] == [
            "/static/completion_aggregator/style.css"
        ]
        assert page.select_one("a.skip")["href"] == f"#{page.main['id']}"  # type: ignore[index]
        assert len(page.select("h1")) == len(page.select("main")) == 1
        assert [words(each) for each in page.select("nav[aria-label=Site] [aria-current]")] == ["Courses"]
        (form,) = page.select("header form")
        assert (form["action"], form["method"]) == ("/logout/", "post")


def test_a_site_dresses_the_pages_by_a_template_of_its_own(
    trio: list[Any], staff: Any, settings: Any, tmp_path: Path
) -> None:
    own = tmp_path / "completion_aggregator" / "base.html"
    own.parent.mkdir()
    own.write_text(
        '{% extends "completion_aggregator/base.html" %}{% block brand %}Night School{% endblock %}'
        '{% block extra_head %}<link rel="stylesheet" href="/own.css">{% endblock %}'
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]

    page = show(staff, COURSE)

    assert words(page.select_one(".brand")) == "Night School"
    assert [each["href"] for each in page.select("link[rel=stylesheet]")][-1] == "/own.css"
    assert words(page.h1) == "course/course"


def test_whoever_leaves_by_a_page_of_the_site_is_led_there(trio: list[Any], staff: Any, settings: Any) -> None:
    def leave(urlconf: str) -> list[tuple[str, str]]:
        settings.ROOT_URLCONF = urlconf
        url = reverse("completion-dashboard") if urlconf == __name__ else f"{LIST}"
        return [(str(form["action"]), str(form["method"])) for form in show(staff, url).select("header form")]

    assert leave("sample_lms.urls") == [("/logout/", "post")]
    assert leave(__name__) == [("/leave/", "get")]
    assert leave("tests.acceptance.mounts") == []


urlpatterns = [
    path("", include("completion_aggregator.urls")),
    path("leave/", TemplateView.as_view(template_name="x.html"), name="logout"),
]


@pytest.mark.parametrize("mount", ["first", "second"])
def test_links_stay_at_the_mount(trio: list[Any], staff: Any, settings: Any, mount: str) -> None:
    settings.ROOT_URLCONF = "tests.acceptance.mounts"
    root = {"first": "/api/completion/", "second": "/completion-aggregator/"}[mount]
    course_key = {"course_key": str(COURSE_KEY)}
    assert reverse(f"{mount}:completion-dashboard") == f"{root}dashboard/"
    course_url = reverse(f"{mount}:completion-dashboard-course", kwargs=course_key)
    one_url = reverse(f"{mount}:completion-dashboard-learner", kwargs=course_key | {"user_id": trio[0].pk})

    for url in (f"{root}dashboard/", course_url, one_url):
        links = [str(each["href"]) for each in show(staff, url).select("a[href^='/']")]
        assert links
        assert all(link.startswith(root) for link in links)


@pytest.mark.parametrize("query", [{}, {"search": "learner", "at_risk": "on", "ordering": "percent"}])
def test_queries_do_not_grow_with_the_class(course: Any, staff: Any, query: dict[str, str]) -> None:
    counts = {url: [] for url in ("list", "course", "learner")}  # type: ignore[var-annotated]
    client = Client()
    client.force_login(staff)
    learners: list[Any] = []
    for more in (3, 57):
        learners += enroll(*[ALL[: number % 6] for number in range(more)])
        take_all_snapshots()
        for name, url in (("list", LIST), ("course", COURSE), ("learner", learner_url(learners[1]))):
            client.get(url, query)
            cache.clear()
            with CaptureQueriesContext(connection) as captured:
                client.get(url, query)
            counts[name].append(len(captured))

    assert all(few == many for few, many in counts.values()), counts
    # The session and the user are two of them.
    assert counts["list"][0] <= 6
    assert counts["course"][0] <= 15
    assert counts["learner"][0] <= 20
