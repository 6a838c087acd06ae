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

    assert (status, without_times(answer)) == (example.status, without_times(example.value, site=demo))


def without_times(value: Any, site: str = SITE) -> Any:
    """Return the same without moments, which each set-up of the demo has anew, and with links to the site."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(Z|\+00:00)", "MOMENT", json.dumps(value))
    return json.loads(text.replace(SITE, site))


def ask(url: str, method: str, account: str, body: Any) -> tuple[int, Any]:
    request = Request(url, method=method)  # noqa: S310
    if account != "nobody":
        request.add_header("Authorization", f"Basic {base64.b64encode(f'{account}:{account}'.encode()).decode()}")
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps(body).encode()
    try:
        with urlopen(request) as response:  # noqa: S310
            text = response.read().decode()
            return response.status, json.loads(text) if "json" in response.headers["Content-Type"] else text
    except HTTPError as error:
        with error:
            return error.code, json.load(error)
