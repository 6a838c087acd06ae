"""The machine, for a while; `make model` lets it run for as long as one likes."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import Site

pytestmark = pytest.mark.django_db(transaction=True)


def test_whatever_is_done_to_a_site_what_is_stored_is_right_or_known_to_be_stale() -> None:
    run_state_machine_as_test(Site, settings=settings(max_examples=20, stateful_step_count=30))
