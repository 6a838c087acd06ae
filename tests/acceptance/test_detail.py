"""GET and POST course/<course_key>/, over HTTP."""

from __future__ import annotations

from typing import Any

from django.test import Client

from completion_aggregator.services import aggregate_stale
from tests.factories import COURSE_KEY, complete, key

URL = f"/api/completion/v1/course/{COURSE_KEY}/"


def test_a_learner_sees_the_own_completion(client: Client, learner: Any) -> None:
    complete(learner, "html/h1", "problem/p1")
    aggregate_stale()
    client.force_login(learner)

    response = client.get(URL, {"username": "ada", "requested_fields": "chapter"})

    assert response.status_code == 200
    assert response.json() == {
        "pagination": {"next": None, "previous": None, "count": 1, "num_pages": 1},
        "results": [
            {
                "course_key": str(COURSE_KEY),
                "completion": {"earned": 2.0, "possible": 6.0, "percent": 2 / 6},
                "chapter": [
                    {
                        "course_key": str(COURSE_KEY),
                        "block_key": key("chapter/c1"),
                        "completion": {"earned": 2.0, "possible": 4.0, "percent": 0.5},
                    },
                    {
                        "course_key": str(COURSE_KEY),
                        "block_key": key("chapter/c2"),
                        "completion": {"earned": 0.0, "possible": 2.0, "percent": 0.0},
                    },
                ],
            }
        ],
    }
