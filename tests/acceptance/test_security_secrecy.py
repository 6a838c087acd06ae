"""Who may not see somebody does not learn whether there is such a user: not by a byte, a header or a query."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from completion_aggregator.services import aggregate_stale
from sample_lms.models import CohortMembership, Course
from tests.acceptance.helpers import BULK, DETAIL, EXPLAIN, OTHER_KEY, REFRESH, STATS, ask
from tests.acceptance.test_permission_matrix import BLOCKS, ROWS, Row, World, answer
from tests.acceptance.test_permission_matrix import world as world
from tests.factories import (
    COURSE_KEY,
    CohortFactory,
    EnrollmentFactory,
    RoleFactory,
    UserFactory,
    key,
    publish_course,
    small_course,
)

pytestmark = pytest.mark.anywhere

MOUNT = next(iter(BLOCKS))
ABOUT_SOMEBODY = [row for row in ROWS if row.about == "unknown"]
#: The clock; and, of a redirect to the login page, the path that was asked for.
DIFFERS = ("Expires", "Location")


def seen(world: World, row: Row, about: str, who: str) -> tuple[Any, ...]:
    """Return all that can be seen of an answer but the name that was asked for, and how many queries it took."""
    with CaptureQueriesContext(connection) as captured:
        response = answer(world, MOUNT, row._replace(about=about), who)
    headers = {name: value for name, value in response.headers.items() if name not in DIFFERS}
    return response.status_code, headers, response.content.replace(f'"{about}"'.encode(), b"NAME"), len(captured)


@pytest.mark.parametrize("row", ABOUT_SOMEBODY, ids=lambda row: row.name)
def test_whom_one_may_not_see_is_like_nobody(world: World, row: Row) -> None:
    """Only staff of the whole site learn who there is."""
    about_ada = next(each for each in ROWS if each[:3] == (row.method, row.path, "ada"))
    for who in world.people.keys() - {"staff"}:
        answer(world, MOUNT, row, who)  # what is asked once and then kept: does one work in any course?
        nobody = seen(world, row, "unknown", who)
        assert seen(world, row, "visitor", who) == nobody, who
        if about_ada.statuses[who] >= 300:
            # Of another length is the name alone.
            nobody[1].pop("Content-Length", None)
            status, headers, content, queries = seen(world, row, "ada", who)
            headers.pop("Content-Length", None)
            assert (status, headers, content, queries) == nobody, who


@pytest.fixture
def elsewhere(course: Any, learner: Any) -> Any:
    """Somebody who is only enrolled in another course, where there is a cohort of theirs."""
    publish_course(small_course(OTHER_KEY), OTHER_KEY)
    Course.objects.update(cohorted=True)
    user = EnrollmentFactory(user=UserFactory(username="eve"), course_id=OTHER_KEY).user
    CohortMembership.objects.create(user=user, cohort=CohortFactory(course_id=OTHER_KEY), course_id=OTHER_KEY)
    aggregate_stale()
    return user


@pytest.fixture
def teacher(elsewhere: Any) -> Any:
    """Staff of the one course."""
    return RoleFactory().user


def test_bulk_tells_course_staff_of_nobody_elsewhere(elsewhere: Any, teacher: Any) -> None:
    keys = {"course_keys": [str(COURSE_KEY)]}

    assert ask(teacher, BULK, body={"users": ["eve", "no", "me"], **keys}) == {
        "results": [],
        "unknown_users": ["eve", "no"],
        "unknown_user_ids": [],
    }
    assert ask(teacher, BULK, body={"user_ids": [elsewhere.pk, 999_999], **keys}) == {
        "results": [],
        "unknown_users": [],
        "unknown_user_ids": sorted([elsewhere.pk, 999_999]),
    }


def test_lists_and_filters_of_a_course_have_nobody_from_elsewhere(elsewhere: Any, teacher: Any) -> None:
    for query in ({"user_ids": elsewhere.pk}, {"user_ids": 999_999}, {"search": "eve"}, {"search": "nobody"}):
        assert ask(teacher, DETAIL, query)["results"] == []
    cohort = CohortMembership.objects.get().cohort_id
    for url in (DETAIL, STATS):
        refusals = [ask(teacher, url, {"cohorts": each}, status=400) for each in (cohort, 999_999)]
        assert refusals[0] == refusals[1]


@pytest.mark.parametrize("url", [DETAIL, EXPLAIN])
def test_a_block_of_another_course_is_like_none(learner: Any, elsewhere: Any, teacher: Any, url: str) -> None:
    roots = (
        key("chapter/c1", OTHER_KEY),
        key("chapter/none"),
        key("chapter/none", OTHER_KEY),
        "nonsense",
        "i4x://Org/Course/html/h%",
    )
    for user, username in ((teacher, "ada"), (learner, "me")):
        refusals = [ask(user, url, {"username": username, "root_block": each}, status=404) for each in roots]
        assert refusals == [refusals[0]] * len(roots)


def test_nobody_has_a_learner_of_another_course_recomputed(elsewhere: Any, teacher: Any, client: Client) -> None:
    client.force_login(teacher)
    texts = [
        client.post(REFRESH, {"username": name}, content_type="application/json").content for name in ("eve", "no")
    ]

    assert texts[0] == texts[1] == b'{"detail":"The learner is not enrolled in this course."}'


@pytest.mark.parametrize("path", ["v1/stats", "v1/summary", "v1/export", "v1/explain", "v1/course", "dashboard", "my"])
def test_a_course_that_is_not_there_is_like_one_that_is_not_ones_own(elsewhere: Any, client: Client, path: str) -> None:
    client.force_login(UserFactory())

    def look(course_key: str) -> tuple[int, bytes]:
        response = client.get(f"{MOUNT}{path}/{course_key}/", {"username": "ada", "type": "csv"})
        return response.status_code, response.content

    assert look(str(OTHER_KEY)) == look("course-v1:Org+Wrong+Run")
    assert look(str(OTHER_KEY))[0] in (403, 404)
