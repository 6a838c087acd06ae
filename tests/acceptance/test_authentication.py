"""Who gets in, by the authentication classes that are the default: those of an Open edX LMS.

Tokens are real: signed as edx-drf-extensions has them signed, issued by django-oauth-toolkit.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from edx_rest_framework_extensions.auth.jwt.tests.utils import (
    generate_asymmetric_jwt_token,
    generate_jwt_token,
    generate_latest_version_payload,
)
from oauth2_provider.models import AccessToken, Application
from openedx.envs.common import AUTHENTICATION_BACKENDS

from completion_aggregator.conf import Settings
from tests.acceptance.helpers import DETAIL, LIST, checked
from tests.factories import EnrollmentFactory, UserFactory

pytestmark = pytest.mark.anywhere


@pytest.fixture(autouse=True)
def _platform(settings: Any, course: Any) -> None:
    settings.COMPLETION_AGGREGATOR_AUTHENTICATION_CLASSES = Settings.AUTHENTICATION_CLASSES.default
    settings.AUTHENTICATION_BACKENDS = AUTHENTICATION_BACKENDS


@pytest.fixture(params=[True, False], ids=["active", "inactive"])
def ada(request: pytest.FixtureRequest) -> Any:
    """A learner who has, or has not yet, confirmed the e-mail address: the platform lets both in."""
    return EnrollmentFactory(user=UserFactory(username="ada", is_active=request.param)).user


def ask(status: int = 200, client: Client | None = None, **headers: str) -> Any:
    answer = (client or Client()).get(DETAIL, {"username": "ada"}, headers=headers)
    return checked(answer, status), answer


def jwt(user: Any, **claims: Any) -> str:
    return generate_asymmetric_jwt_token(generate_latest_version_payload(user) | claims)


def bearer(user: Any, *, lasts: timedelta = timedelta(hours=1)) -> str:
    application = Application.objects.create(
        user=user,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
    )
    token = f"token-of-{user.username}"
    AccessToken.objects.create(user=user, token=token, application=application, expires=timezone.now() + lasts)
    return f"Bearer {token}"


def test_a_jwt_opens(ada: Any) -> None:
    data, _ = ask(Authorization=f"JWT {jwt(ada)}")

    assert data["results"][0]["completion"] == {"earned": 0.0, "possible": 6.0, "percent": 0.0}


def test_jwt_cookies_open(ada: Any, settings: Any) -> None:
    """As the micro-frontends send them: in two halves, of which scripts can read one."""
    settings.MIDDLEWARE = [
        "edx_rest_framework_extensions.auth.jwt.middleware.JwtAuthCookieMiddleware",
        *settings.MIDDLEWARE,
    ]
    head, payload, signature = jwt(ada).split(".")
    client = Client()
    client.cookies["edx-jwt-cookie-header-payload"] = f"{head}.{payload}"
    client.cookies["edx-jwt-cookie-signature"] = signature

    ask(client=client, **{"USE-JWT-COOKIE": "true"})


def test_a_bearer_token_opens(ada: Any) -> None:
    data, _ = ask(Authorization=bearer(ada))

    assert data["results"][0]["course_key"] == str(EnrollmentFactory._meta.model.objects.get().course_id)


def test_a_session_opens(ada: Any) -> None:
    client = Client()
    client.force_login(ada, backend=AUTHENTICATION_BACKENDS[0])

    ask(client=client)


def test_staff_ask_for_others_by_each_of_them(ada: Any, staff: Any) -> None:
    client = Client()
    client.force_login(staff, backend=AUTHENTICATION_BACKENDS[0])

    answers = [
        ask(Authorization=f"JWT {jwt(staff)}")[0],
        ask(Authorization=bearer(staff))[0],
        ask(client=client)[0],
    ]

    assert answers[0] == answers[1] == answers[2]


def test_a_question_by_post_in_a_session_needs_a_csrf_token(ada: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada, backend=AUTHENTICATION_BACKENDS[0])

    answer = client.post(DETAIL, {"username": "ada"}, content_type="application/json")

    assert checked(answer, 403)["detail"].startswith("CSRF Failed")


def test_a_question_by_post_with_a_token_needs_none(ada: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    for authorization in (f"JWT {jwt(ada)}", bearer(ada)):
        answer = client.post(
            DETAIL, {"username": "ada"}, content_type="application/json", headers={"Authorization": authorization}
        )
        checked(answer, 200)


class TestRefusals:
    """401, with the name of the scheme that would be right."""

    def refused(self, **headers: str) -> str:
        data, answer = ask(401, **headers)
        assert answer.headers["WWW-Authenticate"] == 'JWT realm="api"'
        return str(data["detail"])

    def test_of_nobody(self) -> None:
        assert self.refused() == "Authentication credentials were not provided."
        checked(Client().get(LIST), 401)

    def test_of_a_jwt_that_somebody_else_has_signed(self) -> None:
        payload = generate_latest_version_payload(UserFactory(username="ada"))
        self.refused(Authorization=f"JWT {generate_jwt_token(payload, 'another key of 32 bytes or some more')}")

    def test_of_a_jwt_that_has_expired(self) -> None:
        self.refused(Authorization=f"JWT {jwt(UserFactory(username='ada'), exp=1)}")

    @pytest.mark.parametrize("text", ["JWT", "JWT x", "JWT x.y.z", "JWT a b", "JWT é"])
    def test_of_what_is_no_jwt(self, text: str) -> None:
        self.refused(Authorization=text)

    def test_of_a_bearer_token_that_has_expired(self) -> None:
        """Mobile clients renew their token when they read the platform's `error_code`."""
        answer = Client().get(
            LIST, headers={"Authorization": bearer(UserFactory(username="ada"), lasts=-timedelta(seconds=1))}
        )

        assert (answer.status_code, answer.json()) == (
            401,
            {
                "detail": "Token has expired",
                "error_code": "token_expired",
                "developer_message": "Token has expired",
            },
        )

    @pytest.mark.parametrize("text", ["Bearer", "Bearer unknown", "Bearer a b"])
    def test_of_what_is_no_bearer_token(self, text: str) -> None:
        answer = Client().get(LIST, headers={"Authorization": text})

        assert answer.status_code == 401

    def test_whether_or_not_the_user_is_there(self) -> None:
        gone = UserFactory(username="gone")
        token = bearer(gone)
        gone.delete()

        assert Client().get(LIST, headers={"Authorization": token}).status_code == 401
