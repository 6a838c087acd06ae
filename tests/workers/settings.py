"""Settings of the processes that the worker tests start: those of all tests, and what a test adds to them."""

from __future__ import annotations

import json
import os

from tests.settings import *  # noqa: F403

globals().update(json.loads(os.environ["WORKER_SETTINGS"]))
