"""The package as Open edX loads it: by the real plugin machinery, in processes of the LMS and of Studio.

Their settings, paths and signals are those of the stand-ins in tests/stubs; the package is found by its entry points,
so it must be installed, as `make test` does.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent


class Platform:
    """An LMS and a Studio on one database."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "platform.sqlite3"
        self.config = folder / "config.yml"

    def run(self, project: str, *command: str, kind: str = "production") -> str:
        """Run a command of one of them, and return what it prints."""
        environment = os.environ | {
            "DATABASE_URL": f"sqlite:///{self.database}",
            "DJANGO_SETTINGS_MODULE": f"{project}.envs.{kind}",
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "stubs"))),
            "PYTHONWARNINGS": "error,ignore:'cgi':DeprecationWarning,ignore:Python 3.11 support:DeprecationWarning",
        }
        if self.config.exists():
            environment[f"{project.upper()}_CFG"] = str(self.config)
        done = subprocess.run(  # noqa: S603
            [sys.executable, *command], env=environment, cwd=HERE, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def manage(self, project: str, *command: str, kind: str = "production") -> str:
        return self.run(project, "-m", "django", *command, kind=kind)

    def tell(self, project: str, scene: str) -> Any:
        """Play one of the scenes of scenes.py in a process, and return what it returns."""
        return json.loads(
            self.run(project, "-c", f"import django; django.setup(); import scenes; scenes.play({scene!r})")
        )


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform(tmp_path)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a platform, migrated by its LMS."""
    platform = Platform(tmp_path_factory.mktemp("migrated"))
    platform.manage("lms", "migrate", "--run-syncdb", "-v0")
    return platform.database


@pytest.fixture
def migrated_platform(platform: Platform, migrated: Path) -> Platform:
    shutil.copy(migrated, platform.database)
    return platform


@pytest.mark.parametrize("kind", ["common", "production", "devstack", "test"])
@pytest.mark.parametrize("project", ["lms", "cms"])
def test_every_kind_of_settings_loads(platform: Platform, project: str, kind: str) -> None:
    out = platform.manage(project, "check", "--fail-level", "WARNING", kind=kind)

    assert out == "System check identified no issues (0 silenced).\n"


def test_settings_have_their_defaults_or_what_the_operator_says(platform: Platform) -> None:
    yaml = {
        "COMPLETION_AGGREGATOR_BLOCK_TYPES": ["course", "chapter"],
        "COMPLETION_AGGREGATOR_TRACKING_EVENT_TYPES": ["course", "unit"],
    }
    platform.config.write_text(json.dumps(yaml))

    for project in ("lms", "cms"):
        assert platform.tell(project, "settings") == {
            "LMS": "completion_aggregator.lms.openedx.OpenEdX",
            "BLOCK_TYPES": ["course", "chapter"],
            "ASYNC_AGGREGATION": True,
            # What edx-event-routing-backends passes on; of the defaults nothing is emitted.
            "statements": [
                f"openedx.completion_aggregator.progress.{name}"
                for name in ("chapter", "course", "sequential", "unit", "vertical")
            ],
        }


def test_a_learners_progress_from_studio_to_the_client(migrated_platform: Platform) -> None:
    platform = migrated_platform
    assert platform.manage("cms", "migrate", "--check", "-v0") == ""

    assert platform.tell("lms", "enroll") == {"marked": ["ada"]}
    platform.manage("lms", "run_aggregator_service", "--inline")
    assert platform.tell("lms", "ask") == {
        path: {"earned": 0.0, "possible": 2.0, "percent": 0.0}
        for path in ("/api/completion/v1/course/", "/completion-aggregator/v1/course/")
    }

    # Everybody is marked where it happens, without a message to the LMS.
    assert platform.tell("cms", "publish") == {"marked": ["ada"]}
    platform.manage("lms", "run_aggregator_service", "--inline")
    # The platform collects the course some time later.
    assert platform.tell("lms", "collect") == {"marked": ["ada"]}
    platform.manage("lms", "run_aggregator_service", "--inline")
    assert platform.tell("lms", "complete") == {"marked": ["ada"]}
    platform.manage("lms", "run_aggregator_service", "--inline")

    assert platform.tell("lms", "ask") == {
        path: {"earned": 1.0, "possible": 4.0, "percent": 0.25}
        for path in ("/api/completion/v1/course/", "/completion-aggregator/v1/course/")
    }
    assert platform.tell("cms", "delete") == {"marked": []}
    assert platform.tell("lms", "retire") == {"marked": [], "aggregates": 0}


def test_the_paths_of_edx_completion_are_still_its_own(migrated_platform: Platform) -> None:
    assert migrated_platform.tell("lms", "neighbours") == {
        "/api/completion/v1/completion-batch": "completion.api.v1.views",
        "/api/completion/v1/subsection-completion/ada/course-v1:a+b+c/block-v1:a+b+c": "completion.api.v1.views",
        "/api/completion/v1/course/course-v1:a+b+c/": "completion_aggregator.api.v1.views",
        "/completion-aggregator/v1/stats/course-v1:a+b+c/": "completion_aggregator.api.v1.views",
        "/api/completion/v0/course/": "completion_aggregator.api.v0.views",
        "/completion-aggregator/v0/course/course-v1:a+b+c/": "completion_aggregator.api.v0.views",
        "/api/completion/progress_bar/course-v1:a+b+c/": "completion_aggregator.dashboard.views",
        "/completion-aggregator/progress_bar/course-v1:a+b+c/chapter/": "completion_aggregator.dashboard.views",
    }


def test_studio_has_no_paths(platform: Platform) -> None:
    assert platform.tell("cms", "neighbours") == {}
