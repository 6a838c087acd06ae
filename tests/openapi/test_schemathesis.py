"""Whatever docs/reference/openapi.yaml allows, and much that it does not: the demo answers as it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.openapi.conftest import ROOT
from tests.openapi.description import operations

CONFIG = Path(__file__).with_name("schemathesis.toml")
#: At most so many random questions to each operation, besides those that are made one by one from its description.
EXAMPLES = 15


ACCOUNTS = ["staff", "learner"]


@pytest.mark.parametrize("account", ACCOUNTS)
def test_answers_are_as_described(demo: str, account: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    minutes = pytestconfig.getoption("minutes")
    # The same questions each time, unless there is time for others.
    amount = ["--generation-deterministic", "--max-examples", str(EXAMPLES)]
    if minutes:
        amount = ["--max-time", str(max(1, round(60 * minutes / len(ACCOUNTS))))]
    done = subprocess.run(  # noqa: S603
        [
            *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "run"),
            *(str(ROOT / "docs/reference/openapi.yaml"), "--url", demo, "--auth", f"{account}:{account}"),
            *amount,
            # What the description allows, and what it does not.
            *("--mode", "all"),
            *("--phases", "examples,coverage,fuzzing", "--checks", "all", "--continue-on-failure", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Tested: {len(operations())}\n" in done.stdout
