"""Who gets what: every path of the package, every method, everybody who may ask.

The table is read from top to bottom as documentation; the tests below hold it to the URL conf, so that a new path or
method without a line fails.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from django.test import Client

from completion_aggregator import plugin_urls
from sample_lms import urls as lms_urls
from tests.acceptance.helpers import OTHER_KEY
from tests.acceptance.routes import routes
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

#: Both places at which Open edX has the package, beside the login page of an LMS.
URLS = (*plugin_urls.urlpatterns, *lms_urls.urlpatterns)
#: With the block that is done there: the first time and the second have different statuses.
BLOCKS = {"/api/completion/": "html/h1", "/completion-aggregator/": "html/h2"}
MOUNTS = list(BLOCKS)

# The columns, for the course of the path:
#   nobody       who is not logged in
#   inactive     a learner whose account was switched off
#   outsider     a user without an enrollment
#   former       a learner whose enrollment has ended
#   learner      a learner who is enrolled
#   beta         a beta tester of the course: an access role, but none of the course team
#   research     a data researcher of the course: of the course team
#   team         staff of the course
#   org          staff of all courses of the organisation
#   team2        staff of another course of the same organisation
#   org2         staff of another organisation
#   super        a superuser who is not staff: the flag of Django's admin means nothing here
#   staff        global staff
#
# About whom is asked, in the query or the body (`username`), in bulk's `users`, or in the path:
#   me           whoever asks
#   ada          a learner who is enrolled
#   visitor      a user who has nothing to do with the course
#   unknown      a name, or an id, that nobody has
#   all          nobody in particular
#   both         bulk: ada in the course and in the other one, where she is enrolled, too
#   cohort       stats: the members of a cohort
#   -            the page or the figures are always the same, or the asker's own
#
# Machines ask without an account; metrics/ by a token, and without one set there is no such page.
# Pages send whoever is not logged in to the login page (302). Widgets show an empty bar to whoever is not enrolled.
TABLE = """
method path                                        about    nobody inactive outsider former learner beta research team org team2 org2 super staff
GET    v1/course/                                  me          401      401      200    200     200  200      200  200 200   200  200   200   200
GET    v1/course/                                  all         401      401      403    403     403  403      403  403 403   403  403   403   200
GET    v1/course/                                  ada         401      401      403    403     403  403      403  403 403   403  403   403   200
GET    v1/course/                                  visitor     401      401      403    403     403  403      403  403 403   403  403   403   200
GET    v1/course/                                  unknown     401      401      403    403     403  403      403  403 403   403  403   403   404

GET    v1/course/{course_key}/                     me          401      401      404    404     200  404      404  404 404   404  404   404   404
GET    v1/course/{course_key}/                     all         401      401      403    403     403  403      200  200 200   403  403   403   200
GET    v1/course/{course_key}/                     ada         401      401      403    403     403  403      200  200 200   403  403   403   200
GET    v1/course/{course_key}/                     visitor     401      401      403    403     403  403      404  404 404   403  403   403   404
GET    v1/course/{course_key}/                     unknown     401      401      403    403     403  403      404  404 404   403  403   403   404

POST   v1/course/{course_key}/                     me          401      401      404    404     200  404      404  404 404   404  404   404   404
POST   v1/course/{course_key}/                     all         401      401      403    403     403  403      200  200 200   403  403   403   200
POST   v1/course/{course_key}/                     ada         401      401      403    403     403  403      200  200 200   403  403   403   200
POST   v1/course/{course_key}/                     visitor     401      401      403    403     403  403      404  404 404   403  403   403   404
POST   v1/course/{course_key}/                     unknown     401      401      403    403     403  403      404  404 404   403  403   403   404

GET    v1/stats/{course_key}/                      -           401      401      403    403     200  403      200  200 200   403  403   403   200
GET    v1/stats/{course_key}/                      cohort      401      401      403    403     403  403      200  200 200   403  403   403   200

GET    v1/summary/{course_key}/                    -           401      401      403    403     403  403      200  200 200   403  403   403   200
GET    v1/export/{course_key}/                     all         401      401      403    403     403  403      200  200 200   403  403   403   200

GET    v1/explain/{course_key}/                    me          401      401      404    404     200  404      404  404 404   404  404   404   404
GET    v1/explain/{course_key}/                    all         401      401      403    403     403  403      400  400 400   403  403   403   400
GET    v1/explain/{course_key}/                    ada         401      401      403    403     403  403      200  200 200   403  403   403   200
GET    v1/explain/{course_key}/                    visitor     401      401      403    403     403  403      404  404 404   403  403   403   404
GET    v1/explain/{course_key}/                    unknown     401      401      403    403     403  403      404  404 404   403  403   403   404

POST   v1/refresh/{course_key}/                    me          401      401      404    404     200  404      404  404 404   404  404   404   404
POST   v1/refresh/{course_key}/                    all         401      401      403    403     403  403      202  202 202   403  403   403   202
POST   v1/refresh/{course_key}/                    ada         401      401      403    403     403  403      200  200 200   403  403   403   200
POST   v1/refresh/{course_key}/                    visitor     401      401      403    403     403  403      404  404 404   403  403   403   404
POST   v1/refresh/{course_key}/                    unknown     401      401      403    403     403  403      404  404 404   403  403   403   404

POST   v1/bulk/                                    me          401      401      200    200     200  200      200  200 200   200  200   200   200
POST   v1/bulk/                                    all         401      401      403    403     403  403      400  400 400   403  403   403   400
POST   v1/bulk/                                    ada         401      401      403    403     403  403      200  200 200   403  403   403   200
POST   v1/bulk/                                    both        401      401      403    403     403  403      403  403 200   403  403   403   200
POST   v1/bulk/                                    visitor     401      401      403    403     403  403      200  200 200   403  403   403   200
POST   v1/bulk/                                    unknown     401      401      403    403     403  403      200  200 200   403  403   403   200

GET    v0/course/                                  me          401      401      200    200     200  200      200  200 200   200  200   200   200
GET    v0/course/                                  all         401      401      200    200     200  200      200  200 200   200  200   200   200
GET    v0/course/                                  ada         401      401      403    403     403  403      403  403 403   403  403   403   200
GET    v0/course/                                  visitor     401      401      403    403     403  403      403  403 403   403  403   403   200
GET    v0/course/                                  unknown     401      401      403    403     403  403      403  403 403   403  403   403   404

GET    v0/course/{course_key}/                     me          401      401      404    404     200  404      404  404 404   404  404   404   404
GET    v0/course/{course_key}/                     all         401      401      404    404     200  404      404  404 404   404  404   404   404
GET    v0/course/{course_key}/                     ada         401      401      403    403     403  403      200  200 200   403  403   403   200
GET    v0/course/{course_key}/                     visitor     401      401      403    403     403  403      404  404 404   403  403   403   404
GET    v0/course/{course_key}/                     unknown     401      401      403    403     403  403      404  404 404   403  403   403   404

POST   v0/course/{course_key}/blocks/{block_key}/  me          401      401      404    404     201  404      404  404 404   404  404   404   404
POST   v0/course/{course_key}/blocks/{block_key}/  ada         401      401      404    404     201  404      404  404 404   404  404   404   404

GET    dashboard/                                  -           302      302      403    403     403  403      200  200 200   200  403   403   200
GET    dashboard/{course_key}/                     all         302      302      403    403     403  403      200  200 200   403  403   403   200

GET    dashboard/{course_key}/learners/{user_id}/  ada         302      302      403    403     403  403      200  200 200   403  403   403   200
GET    dashboard/{course_key}/learners/{user_id}/  visitor     302      302      403    403     403  403      404  404 404   403  403   403   404
GET    dashboard/{course_key}/learners/{user_id}/  unknown     302      302      403    403     403  403      404  404 404   403  403   403   404

GET    my/                                         -           302      302      200    200     200  200      200  200 200   200  200   200   200
GET    my/{course_key}/                            -           302      302      404    404     200  404      404  404 404   404  404   404   404
GET    progress_bar/{course_key}/                  -           200      200      200    200     200  200      200  200 200   200  200   200   200
GET    progress_bar/{course_key}/{chapter_id}/     -           200      200      200    200     200  200      200  200 200   200  200   200   200
GET    widget/bar/{course_key}/                    -           200      200      200    200     200  200      200  200 200   200  200   200   200
GET    widget/ring/{course_key}/                   -           200      200      200    200     200  200      200  200 200   200  200   200   200

GET    health/                                     -           200      200      200    200     200  200      200  200 200   200  200   200   200
GET    health/ready/                               -           200      200      200    200     200  200      200  200 200   200  200   200   200
GET    health/lag/                                 -           200      200      200    200     200  200      200  200 200   200  200   200   200
GET    metrics/                                    -           404      404      404    404     404  404      404  404 404   404  404   404   404
"""  # noqa: E501


class Row(NamedTuple):
    """One line of the table."""

    method: str
    path: str
    about: str
    #: Expected statuses by column.
    statuses: dict[str, int]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path} {self.about}"


def read_table() -> list[Row]:
    head, *lines = [line.split() for line in TABLE.splitlines() if line]
    return [
        Row(method, path, about, dict(zip(head[3:], map(int, statuses), strict=True)))
        for method, path, about, *statuses in lines
    ]


ROWS = read_table()
#: What must be given besides.
PARAMETERS: dict[str, dict[str, Any]] = {
    "v1/export/{course_key}/": {"type": "csv"},
    "v0/course/{course_key}/blocks/{block_key}/": {"completion": 1.0},
}


class World(NamedTuple):
    """Everybody of the columns, and what may be asked about."""

    people: dict[str, Any]
    user_ids: dict[str, int]
    cohort_id: int


@pytest.fixture
def world(course: Any, learner: Any, staff: Any, settings: Any) -> World:
    settings.ROOT_URLCONF = URLS
    settings.COMPLETION_AGGREGATOR_REFRESH_RATE = None
    publish_course(small_course(OTHER_KEY), OTHER_KEY)
    EnrollmentFactory(user=learner, course_id=OTHER_KEY)
    course.cohorted = True
    course.save()
    people = {
        "nobody": None,
        "inactive": EnrollmentFactory(user__is_active=False).user,
        "outsider": UserFactory(),
        "former": EnrollmentFactory(is_active=False).user,
        "learner": EnrollmentFactory().user,
        "beta": RoleFactory(role="beta_testers").user,
        "research": RoleFactory(role="data_researcher").user,
        "team": RoleFactory().user,
        "org": RoleFactory(org="Org", course_id=None).user,
        "team2": RoleFactory(course_id=OTHER_KEY).user,
        "org2": RoleFactory(org="Elsewhere", course_id=None).user,
        "super": UserFactory(is_superuser=True),
        "staff": staff,
    }
    user_ids = {"ada": learner.pk, "visitor": UserFactory(username="visitor").pk, "unknown": 999_999}
    return World(people, user_ids, CohortFactory().pk)


def answer(world: World, mount: str, row: Row, who: str) -> Any:
    client = Client()
    if world.people[who] is not None:
        client.force_login(world.people[who])
    path = mount + row.path.format(
        course_key=COURSE_KEY,
        block_key=key(BLOCKS[mount]),
        chapter_id="c1",
        user_id=world.user_ids.get(row.about, 0),
    )
    parameters = dict(PARAMETERS.get(row.path, {}))
    if row.path == "v1/bulk/":
        keys = [COURSE_KEY, OTHER_KEY] if row.about == "both" else [COURSE_KEY]
        parameters["course_keys"] = [str(each) for each in keys]
        parameters["users"] = {"all": [], "both": ["ada"]}.get(row.about, [row.about])
    elif row.about == "cohort":
        parameters["cohorts"] = world.cohort_id
    elif row.about not in ("all", "-"):
        parameters["username"] = row.about
    if row.method == "GET":
        return client.get(path, parameters)
    return client.generic(row.method, path, json.dumps(parameters), content_type="application/json")


def ask(world: World, mount: str, row: Row, who: str) -> int:
    """Return the status of the answer."""
    status: int = answer(world, mount, row, who).status_code
    return status


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_everybody_gets_what_the_table_says(world: World, row: Row) -> None:
    for mount in MOUNTS:
        assert {who: ask(world, mount, row, who) for who in world.people} == row.statuses


def test_every_path_and_method_has_a_line() -> None:
    there = {(method, route.path) for route in routes() for method in route.methods}

    assert {(row.method, row.path) for row in ROWS} == there


def test_no_other_method_is_answered(world: World) -> None:
    for route in routes():
        refused = {405} if route.is_public else {405, 401 if route.path.startswith("v") else 302, 403}
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - route.methods:
            row = Row(method, route.path, "-", {})
            # Who may not see a page at all is told so first.
            assert {ask(world, MOUNTS[0], row, who) for who in ("nobody", "outsider", "team")} <= refused, row.name
            assert ask(world, MOUNTS[0], row, "staff") == 405 or route.path.startswith("dashboard/{"), row.name


def test_options_tell_nothing_of_anybody(world: World) -> None:
    for route in routes():
        row = Row("OPTIONS", route.path, "ada", {})
        for who in world.people:
            response = answer(world, MOUNTS[0], row, who)
            assert response.status_code in (200, 302, 401, 403), row.name
            assert b"ada" not in response.content, row.name
