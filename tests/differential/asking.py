"""Asks one side questions through Django's test client. Both sides import it, each in its own environment."""

from __future__ import annotations

import json
import re
from typing import Any

from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import transaction
from django.test import Client

from benchmarks.measure import Measure


def answer(measure: Measure, questions: list[dict[str, Any]]) -> None:
    """Answer each of the questions; what one of them changes, the others do not see."""
    measure.answer = [_answer(question) for question in questions]


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
