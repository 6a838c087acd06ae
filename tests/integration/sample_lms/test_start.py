"""Where the demo starts, and where one logs in."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import COURSE_KEY, EnrollmentFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_before_the_demo_is_set_up_the_page_says_how(client: Client) -> None:
    page = client.get("/").content.decode()

    assert "<code>manage.py demo</code>" in page
    assert "<iframe" not in page


def test_it_leads_to_the_pages_of_the_first_course_and_of_the_learner(client: Client, course: Any) -> None:
    learner = EnrollmentFactory(user=UserFactory(username="learner")).user
    UserFactory(username="staff", is_staff=True)

    page = client.get("/").content.decode()

    assert "1 simulated learner " in page
    for name, keys in (
        ("completion-dashboard", {}),
        ("completion-dashboard-course", {"course_key": COURSE_KEY}),
        ("completion-dashboard-learner", {"course_key": COURSE_KEY, "user_id": learner.pk}),
        ("completion-my-progress", {}),
        ("completion-my-course", {"course_key": COURSE_KEY}),
        ("swagger", {}),
        ("admin:index", {}),
    ):
        assert f'href="{reverse(name, kwargs=keys)}"' in page
    for name in ("completion-widget-bar", "completion-widget-ring"):
        assert f'<iframe src="{reverse(name, kwargs={"course_key": COURSE_KEY})}"' in page


def test_it_offers_the_accounts_but_the_one_that_is_logged_in(client: Client) -> None:
    client.force_login(UserFactory(username="learner"))

    page = client.get("/").content.decode()

    assert "Log in as staff" in page
    assert "Log in as learner" not in page


def test_a_wrong_password_is_told_in_the_language_of_the_reader(client: Client) -> None:
    answer = client.post("/login/", {"username": "x<b>", "password": "no"}, headers={"accept-language": "de"})

    page = answer.content.decode()
    assert 'lang="de"' in page
    assert '<p class="notice bad" role="alert">Bitte ' in page
    assert 'value="x&lt;b&gt;"' in page


def test_logging_in_leads_to_the_start_or_to_where_one_came_from(client: Client) -> None:
    user = UserFactory(username="ada")
    user.set_password("ada")
    user.save()
    account = {"username": "ada", "password": "ada"}

    assert client.post("/login/", account).headers["Location"] == "/"
    assert client.post("/login/", {**account, "next": "/courses/"}).headers["Location"] == "/courses/"
    assert client.post("/login/", {**account, "next": "https://evil.example/"}).headers["Location"] == "/"
