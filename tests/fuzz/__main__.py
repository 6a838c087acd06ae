"""Every target of target.py for its share of the time: `python -m tests.fuzz [MINUTES]`.

What crashes is left in the directory fuzz-crashes, with the command that shows it again; make it an ordinary test.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.seeds import SEEDS

CRASHES = Path("fuzz-crashes")


def main(minutes: float) -> int:
    CRASHES.mkdir(exist_ok=True)
    failed = []
    for name, seeds in SEEDS.items():
        print(f"== {name}", flush=True)  # noqa: T201
        command = [sys.executable, "-m", "tests.fuzz.target", name]
        with tempfile.TemporaryDirectory(prefix=f"fuzz-{name}-") as corpus:
            for number, seed in enumerate(seeds()):
                Path(corpus, f"seed{number}").write_bytes(seed)
            options = [
                f"-max_total_time={max(1, round(60 * minutes / len(SEEDS)))}",
                "-timeout=30",
                "-rss_limit_mb=2048",
            ]
            options += ["-max_len=20000", f"-artifact_prefix={CRASHES}/{name}-", "-print_final_stats=1", "-verbosity=0"]
            if subprocess.run([*command, corpus, *options], check=False).returncode:  # noqa: S603
                failed.append(name)
    if failed:
        print(f"Crashes in: {', '.join(failed)}. Show one with: {' '.join(command[:-1])} NAME FILE")  # noqa: T201
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 1))
