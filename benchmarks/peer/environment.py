"""Makes the environment that the peer runs in. Imported by the process that asks, not by the peer."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.child import ROOT
from benchmarks.errors import BenchmarkError

DIRECTORY = ROOT / "benchmarks" / ".peer"
REQUIREMENTS = Path(__file__).parent / "requirements.txt"


def ensure() -> Path:
    """Return the Python of the environment; install it first, unless that is done already.

    Raises:
        BenchmarkError: it cannot be installed.
    """
    python = DIRECTORY / "bin" / "python"
    stamp = DIRECTORY / "stamp"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    with DIRECTORY.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # or two that ask at once install over each other
        if not stamp.exists() or stamp.read_text() != wanted:
            _install(python)
            stamp.write_text(wanted)
    return python


def _install(python: Path) -> None:
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    try:
        venv.create(DIRECTORY, with_pip=True)
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "-r", REQUIREMENTS]
        subprocess.run(pip, check=True, capture_output=True, text=True)  # noqa: S603 - our own requirements
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise BenchmarkError(f"The peer's environment cannot be installed: {said[-1] if said else error}") from error
    # The benchmarks are found after what is installed: `completion_aggregator` is the peer's there, not ours.
    packages = next(DIRECTORY.glob("lib/python*/site-packages"))
    (packages / "benchmarks.pth").write_text(f"{ROOT}\n")
