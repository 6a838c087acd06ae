"""The examples of docs/reference/openapi.yaml are what the demo answers."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from completion_aggregator.api.schema.examples import SITE
from tests.openapi.description import Example, examples


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_the_demo_answers_as_shown(demo: str, example: Example) -> None:
    match = re.fullmatch(r"`(GET|POST) (/\S+)` as (staff|learner|nobody)", example.description)
    assert match is not None, f"{example.name} does not tell its question"
    method, path, account = match.groups()

    status, answer = ask(f"{demo}{path}", method, account, example.body)

    assert (status, answer) == (example.status, json.loads(json.dumps(example.value).replace(SITE, demo)))


def ask(url: str, method: str, account: str, body: Any) -> tuple[int, Any]:
    request = Request(url, method=method)  # noqa: S310
    if account != "nobody":
        request.add_header("Authorization", f"Basic {base64.b64encode(f'{account}:{account}'.encode()).decode()}")
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps(body).encode()
    try:
        with urlopen(request) as response:  # noqa: S310
            return response.status, json.load(response)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)
