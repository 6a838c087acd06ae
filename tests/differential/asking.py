"""Asks one side questions, over HTTP and in Python. Both sides import it, each in its own environment."""

from __future__ import annotations

import json
import re
from typing import Any

from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import transaction
from django.db.models import Avg, Count
from django.test import Client, RequestFactory
from rest_framework.request import Request

from benchmarks.measure import Measure
from tests.differential.world import MAIN, OLD


def answer(measure: Measure, questions: list[dict[str, Any]]) -> None:
    """Answer each of the questions; what one of them changes, the others do not see."""
    measure.answer = [_answer(question) for question in questions]


def call(measure: Measure) -> None:
    """Do what Python code of others does with either package; tell the results by name."""
    from completion_aggregator.models import Aggregator

    courses = Aggregator.objects.filter(course_key=MAIN.course_key, aggregation_name="course").order_by("user_id")
    chapters = Aggregator.objects.filter(course_key=MAIN.key, aggregation_name="chapter")
    row = courses.get(user__username="ada")
    view = _detail_view({"page_size": "1000", "requested_fields": "chapter"})
    measure.answer = {
        "a view asked by hand": json.loads(json.dumps(view.get(view.request, MAIN.key).data)),
        "names and percents": dict(courses.values_list("user__username", "percent")),
        "who is done": list(courses.filter(percent__gte=1.0).values_list("user__username", flat=True)),
        "learners by course": courses.values("course_key").annotate(learners=Count("user")).get()["learners"],
        "mean": courses.aggregate(mean=Avg("percent"))["mean"],
        "users by their aggregators": list(
            User.objects.filter(aggregator__aggregation_name="course", aggregator__percent__gte=1.0)
            .order_by("id")
            .distinct()
            .values_list("username", flat=True)
        ),
        "chapters of a learner": {
            str(each.block_key): [each.earned, each.possible, each.percent, each.optional_earned]
            for each in chapters.filter(user__username="ada").select_related("user")
        },
        "one block": chapters.get(user_id=1, block_key=MAIN.usage_key("chapter/c1")).percent,
        "types": [
            type(getattr(row, name)).__name__ for name in ("course_key", "block_key", "percent", "last_modified")
        ],
        "keys": [str(row.course_key), str(row.block_key)],
        "an old course": dict(
            Aggregator.objects.filter(course_key=OLD.key, block_key=OLD.usage_key("course/course")).values_list(
                "user__username", "percent"
            )
        ),
    }


def _detail_view(query: dict[str, str]) -> Any:
    from completion_aggregator.api.v1.views import CompletionDetailView

    view = CompletionDetailView()
    view.request = Request(RequestFactory().get(f"/api/completion/v1/course/{MAIN.key}/", query))
    view._effective_user = User.objects.get(username="boss")
    return view


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    cache.clear()
    client = Client(raise_request_exception=False)
    if question["as"] is not None:
        client.force_login(User.objects.get(username=question["as"]))
    with transaction.atomic():
        response = _send(client, question)
        transaction.set_rollback(True)
    return {"status": response.status_code, "type": response.headers.get("Content-Type"), "body": _body(response)}


def _send(client: Client, question: dict[str, Any]) -> Any:
    method, body = question["method"], question.get("body")
    if method == "GET":
        return client.get(question["path"], question.get("query", {}))
    text = body if isinstance(body, str) else json.dumps(body)
    return client.generic(method, question["path"], text, content_type="application/json")


def _body(response: Any) -> Any:
    text = response.content.decode(errors="replace")
    if response.status_code >= 500:
        return repr(response.exc_info[1])
    if response.has_header("Location"):
        return response.headers["Location"]
    if bar := re.search(r'aria-valuenow="(\d+)"', text):
        return {"bar": int(bar[1]), "frames": response.headers.get("X-Frame-Options")}
    try:
        return json.loads(text)
    except ValueError:
        return text
