"""What a browser is told, and what it is not allowed to do on somebody's behalf."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from django.test import Client
from edx_rest_framework_extensions.auth.jwt.tests.utils import (
    generate_asymmetric_jwt_token,
    generate_latest_version_payload,
)
from openedx.envs.common import AUTHENTICATION_BACKENDS

from completion_aggregator.conf import Settings
from tests.acceptance.helpers import PASSWORD, checked, stored_rows
from tests.acceptance.routes import Route, routes
from tests.factories import COURSE_KEY, RoleFactory, key

pytestmark = pytest.mark.anywhere

MOUNT = "/api/completion/"
#: Made to be framed by others.
FRAMED = ("progress_bar/", "widget/")
API = [route for route in routes() if route.path.startswith("v")]
PUBLIC = [route for route in routes() if route.is_public]
PAGES = [route for route in routes() if route not in (*API, *PUBLIC)]
POSTS = [route for route in API if "POST" in route.methods]
NEVER_KEPT = {"max-age=0", "no-cache", "no-store", "must-revalidate", "private"}

by_path = pytest.mark.parametrize("route", list(routes()), ids=lambda route: route.path)


def ask(route: Route, client: Client, user_id: int = 0, *, method: str = "", **options: Any) -> Any:
    path = MOUNT + route.path.format(course_key=COURSE_KEY, block_key=key("html/h1"), chapter_id="c1", user_id=user_id)
    method = method or ("GET" if "GET" in route.methods else "POST")
    if method == "GET":
        return client.get(path, {"type": "csv", "username": "ada"}, **options)
    body = {"username": "me", "users": ["me"], "course_keys": [str(COURSE_KEY)], "completion": 1.0}
    return client.post(path, json.dumps(body), content_type="application/json", **options)


@pytest.fixture(params=["all middleware", "no middleware that sets headers"])
def _middleware(request: Any, settings: Any) -> None:
    if request.param != "all middleware":
        headers = ("security.SecurityMiddleware", "clickjacking.XFrameOptionsMiddleware")
        settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if not each.endswith(headers)]


def answers(route: Route, learner: Any, staff: Any) -> list[Any]:
    """Ask as nobody, as a learner who may not, and as staff: an answer and refusals."""
    found = []
    for user in (None, learner, staff):
        client = Client()
        if user is not None:
            client.force_login(user)
        found.append(ask(route, client, learner.pk))
    return found


@pytest.mark.usefixtures("_middleware")
@by_path
def test_nothing_is_kept_guessed_or_told_on(learner: Any, staff: Any, route: Route) -> None:
    for response in answers(route, learner, staff):
        if response.status_code in (403, 404) and route in PAGES:
            continue  # the site's own page, without anybody's data
        assert set(response.headers["Cache-Control"].split(", ")) == NEVER_KEPT
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"
        if route not in PUBLIC:
            assert "Cookie" in response.headers["Vary"] or not response.content
        if route in API:
            assert "Authorization" in response.headers["Vary"]
        if route not in PAGES:
            assert response.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.usefixtures("_middleware")
@by_path
def test_only_what_is_made_for_it_may_be_framed(learner: Any, staff: Any, route: Route) -> None:
    for response in answers(route, learner, staff):
        if response.status_code in (403, 404) and route in PAGES:
            continue
        if route.path.startswith(FRAMED):
            assert "X-Frame-Options" not in response.headers
            assert "frame-ancestors" not in response.headers["Content-Security-Policy"]
        else:
            assert response.headers["X-Frame-Options"] == "DENY"


def test_the_site_may_frame_its_own_pages(learner: Any, client: Client, settings: Any) -> None:
    settings.X_FRAME_OPTIONS = "SAMEORIGIN"
    client.force_login(learner)

    assert client.get(f"{MOUNT}my/").headers["X-Frame-Options"] == "SAMEORIGIN"


def test_pages_load_nothing_but_the_files_of_the_site(learner: Any, client: Client, settings: Any) -> None:
    client.force_login(learner)
    own = "default-src 'none'; base-uri 'none'; img-src 'self' data:; font-src 'self'; style-src 'self'"

    assert client.get(f"{MOUNT}my/").headers["Content-Security-Policy"] == own
    framed = client.get(f"{MOUNT}progress_bar/{COURSE_KEY}/")
    assert framed.headers["Content-Security-Policy"] == f"{own} 'unsafe-inline'"
    settings.STATIC_URL = "https://static.example/files/"
    policy = client.get(f"{MOUNT}my/").headers["Content-Security-Policy"]
    assert policy.endswith("; style-src 'self' https://static.example")


def test_the_policy_is_a_setting(learner: Any, client: Client, settings: Any) -> None:
    client.force_login(learner)
    settings.COMPLETION_AGGREGATOR_CONTENT_SECURITY_POLICY = "default-src 'self'"
    assert client.get(f"{MOUNT}my/").headers["Content-Security-Policy"] == "default-src 'self'"
    settings.COMPLETION_AGGREGATOR_CONTENT_SECURITY_POLICY = ""
    assert "Content-Security-Policy" not in client.get(f"{MOUNT}my/").headers


# --- requests that another site makes somebody's browser send -------------------------------------------------------


@pytest.mark.parametrize("route", POSTS, ids=lambda route: route.path)
def test_by_session_a_post_needs_the_token(learner: Any, route: Route) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(learner)
    before = stored_rows()

    response = ask(route, client, method="POST")
    assert response.status_code == 403
    assert checked(response, 403)["detail"].startswith("CSRF Failed")
    assert stored_rows() == before
    # With the token that a page of the site has, it is answered.
    client.get("/login/")
    token = client.cookies["csrftoken"].value
    assert ask(route, client, method="POST", headers={"X-CSRFToken": token}).status_code in (200, 201)


@pytest.mark.parametrize("route", POSTS, ids=lambda route: route.path)
def test_with_a_password_no_csrf_token_is_needed(learner: Any, route: Route) -> None:
    learner.set_password(PASSWORD)
    learner.save()
    basic = "Basic " + base64.b64encode(f"ada:{PASSWORD}".encode()).decode()

    response = ask(route, Client(enforce_csrf_checks=True), method="POST", headers={"Authorization": basic})

    assert response.status_code in (200, 201)


@pytest.fixture
def jwt(learner: Any, settings: Any) -> str:
    """A token of the learner's, for the authentication of Open edX."""
    settings.COMPLETION_AGGREGATOR_AUTHENTICATION_CLASSES = Settings.AUTHENTICATION_CLASSES.default
    settings.AUTHENTICATION_BACKENDS = AUTHENTICATION_BACKENDS
    settings.MIDDLEWARE = [
        "edx_rest_framework_extensions.auth.jwt.middleware.JwtAuthCookieMiddleware",
        *settings.MIDDLEWARE,
    ]
    token: str = generate_asymmetric_jwt_token(generate_latest_version_payload(learner))
    return token


@pytest.mark.parametrize("route", POSTS, ids=lambda route: route.path)
def test_with_a_jwt_a_csrf_token_is_needed_if_the_browser_sends_it_by_itself(jwt: str, route: Route) -> None:
    client = Client(enforce_csrf_checks=True)

    header = ask(route, client, method="POST", headers={"Authorization": f"JWT {jwt}"})
    assert header.status_code in (200, 201)
    head, payload, signature = jwt.split(".")
    client.cookies["edx-jwt-cookie-header-payload"] = f"{head}.{payload}"
    client.cookies["edx-jwt-cookie-signature"] = signature
    before = stored_rows()
    # As if it was not there: edx-drf-extensions goes on to the other ways of getting in.
    checked(ask(route, client, method="POST", headers={"USE-JWT-COOKIE": "true"}), 401)
    assert stored_rows() == before
    client.get("/login/")
    headers = {"USE-JWT-COOKIE": "true", "X-CSRFToken": client.cookies["csrftoken"].value}
    assert ask(route, client, method="POST", headers=headers).status_code in (200, 201)


@pytest.mark.parametrize("route", [route for route in API if "POST" not in route.methods], ids=lambda route: route.path)
def test_what_only_reads_cannot_be_posted(learner: Any, route: Route) -> None:
    client = Client()
    client.force_login(learner)
    before = stored_rows()

    checked(ask(route, client, method="POST"), 405)
    assert stored_rows() == before


def test_reading_changes_nothing(learner: Any, staff: Any) -> None:
    people = [learner, staff, RoleFactory().user]
    before = stored_rows()
    for route in API:
        if "GET" in route.methods:
            for user in people:
                client = Client()
                client.force_login(user)
                ask(route, client)
    assert stored_rows() == before
