"""The plugin in a real Tutor: what `tutor config save` renders, and what `tutor local do init` would run.

Nothing is built and no container is started. A stand-in of the program `docker` notes what Tutor asks of it.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

BIN = Path(sys.executable).parent
PLUGIN = "completion-aggregator"
INIT = ["lms migrate completion_aggregator", "lms migrate_aggregates", "lms mark_never_aggregated"]
SETTINGS = [f"{service}/{kind}.py" for service in ("lms", "cms") for kind in ("production", "development")]
WORKER = [
    *("celery", "--app=lms.celery", "worker", "--loglevel=info", "--hostname=completion_aggregator.%h"),
    *("--queues=completion_aggregator", "--concurrency=1", "--max-tasks-per-child=100", "--prefetch-multiplier=1"),
    *("--without-gossip", "--without-mingle"),
]
SERVICE = ["./manage.py", "lms", "run_aggregator_service", "--forever", "--interval=60", "--cleanup-hour=4"]
VOLUMES = [
    "../apps/openedx/settings/lms:/openedx/edx-platform/lms/envs/tutor:roz",
    "../apps/openedx/settings/cms:/openedx/edx-platform/cms/envs/tutor:roz",
    "../apps/openedx/config:/openedx/config:roz",
    "../../data/lms:/openedx/data:z",
    "../../data/openedx-media:/openedx/media:z",
    "../../data/openedx-media-private:/openedx/media-private:z",
]


class Tutor:
    """A Tutor project in a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = root / "env"
        self.docker = root / "docker.jsonl"
        programs = root / "bin"
        programs.mkdir()
        stand_in = programs / "docker"
        stand_in.write_text(
            f"#!{sys.executable}\n"
            "import json, sys\n"
            f"with open({str(self.docker)!r}, 'a') as notes:\n"
            "    notes.write(json.dumps(sys.argv[1:]) + '\\n')\n"
            # Asked which projects are running: none.
            "print('[]')\n"
        )
        stand_in.chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "TUTOR_ROOT": str(root),
            "TUTOR_PLUGINS_ROOT": str(root / "plugins"),
        }

    def __call__(self, *arguments: str) -> str:
        """Call Tutor; return what it says."""
        done = subprocess.run(
            [BIN / "tutor", *arguments], env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def set(self, **options: Any) -> None:
        """Change options of the plugin, and render."""
        self("config", "save", *(f"--set=COMPLETION_AGGREGATOR_{k}={json.dumps(v)}" for k, v in options.items()))

    def read(self, path: str) -> str:
        return (self.env / path).read_text(encoding="utf-8")

    def load(self, path: str) -> Any:
        return yaml.safe_load(self.read(path))

    def load_deployments(self) -> dict[str, Any]:
        documents = yaml.safe_load_all(self.read("k8s/deployments.yml"))
        return {document["metadata"]["name"]: document for document in documents if document}


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with all its secrets, without the plugin."""
    root = tmp_path_factory.mktemp("tutor")
    tutor = Tutor(root)
    # These two belong to a usual installation of Tutor, and are not in this one.
    tutor("config", "save", "--remove=PLUGINS=mfe", "--remove=PLUGINS=indigo")
    shutil.rmtree(root / "bin")
    return root


@pytest.fixture(scope="session")
def enabled(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Tutor:
    """A project with the plugin, that no test changes."""
    return make(fresh, tmp_path_factory.mktemp("enabled"))


@pytest.fixture
def tutor(fresh: Path, tmp_path: Path) -> Tutor:
    """A project with the plugin."""
    return make(fresh, tmp_path / "root")


def make(fresh: Path, root: Path) -> Tutor:
    shutil.copytree(fresh, root, dirs_exist_ok=True)
    tutor = Tutor(root)
    tutor("plugins", "enable", PLUGIN)
    return tutor


def rendered(root: Path) -> dict[str, bytes]:
    """Return every rendered file of a project."""
    env = root / "env"
    return {str(path.relative_to(env)): path.read_bytes() for path in env.rglob("*") if path.is_file()}


def settings_of(source: str) -> dict[str, Any]:
    """Execute what the plugin has in a settings file, in an empty namespace."""
    tree = ast.parse(source)
    ours = [
        node
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).startswith("COMPLETION_AGGREGATOR_")
    ]
    namespace: dict[str, Any] = {}
    exec(compile(ast.Module(ours, []), "settings", "exec"), namespace)
    del namespace["__builtins__"]
    return namespace


def test_it_can_be_found(enabled: Tutor) -> None:
    line = next(line for line in enabled("plugins", "list").splitlines() if line.startswith(PLUGIN))

    assert "enabled" in line


@pytest.mark.parametrize("name", SETTINGS)
def test_the_lms_and_studio_know_the_queue(enabled: Tutor, name: str) -> None:
    source = enabled.read(f"apps/openedx/settings/{name}")

    assert settings_of(source) == {"COMPLETION_AGGREGATOR_ROUTING_KEY": "completion_aggregator"}
    compile(source, name, "exec")


def test_two_services_run_in_production(enabled: Tutor) -> None:
    image = enabled("config", "printvalue", "DOCKER_IMAGE_OPENEDX").strip()
    services = enabled.load("local/docker-compose.prod.yml")["services"]
    both = {
        "image": image,
        "environment": {"SERVICE_VARIANT": "lms", "DJANGO_SETTINGS_MODULE": "lms.envs.tutor.production"},
        "restart": "unless-stopped",
        "stop_grace_period": "5m",
        "volumes": VOLUMES,
        "depends_on": ["lms"],
    }

    assert {name: each for name, each in services.items() if name.startswith(PLUGIN)} == {
        "completion-aggregator-worker": {**both, "command": WORKER},
        "completion-aggregator-service": {**both, "command": SERVICE},
    }
    # What the platform's own worker sees, ours sees too.
    assert services["lms-worker"]["volumes"] == VOLUMES
    assert services["lms-worker"]["environment"] == both["environment"]


def test_one_service_does_it_all_in_development(enabled: Tutor) -> None:
    services = enabled.load("dev/docker-compose.yml")["services"]

    assert {name: each for name, each in services.items() if name.startswith(PLUGIN)} == {
        "completion-aggregator-service": {
            "image": enabled("config", "printvalue", "DOCKER_IMAGE_OPENEDX_DEV").strip(),
            "environment": {"SERVICE_VARIANT": "lms", "DJANGO_SETTINGS_MODULE": "lms.envs.tutor.development"},
            "command": [*SERVICE[:3], "--inline", *SERVICE[3:]],
            "restart": "unless-stopped",
            "volumes": VOLUMES,
            "depends_on": ["lms"],
        }
    }
    # `tutor dev` reads these two files together.
    assert not [name for name in enabled.load("local/docker-compose.yml")["services"] if name.startswith(PLUGIN)]


def test_two_deployments_run_on_kubernetes(enabled: Tutor) -> None:
    deployments = enabled.load_deployments()
    theirs = deployments["lms-worker"]["spec"]["template"]["spec"]

    for name, arguments in (("completion-aggregator-worker", WORKER), ("completion-aggregator-service", SERVICE)):
        container = {**theirs["containers"][0], "name": name, "args": arguments}
        label = {"app.kubernetes.io/name": name}
        assert deployments[name] == {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "labels": label},
            "spec": {
                "selector": {"matchLabels": label},
                "template": {
                    "metadata": {"labels": label},
                    "spec": {**theirs, "containers": [container], "terminationGracePeriodSeconds": 300},
                },
            },
        }


def test_the_package_gets_into_both_images(enabled: Tutor) -> None:
    stages = re.split(r"^FROM ", enabled.read("build/openedx/Dockerfile"), flags=re.MULTILINE)
    install = "$PIP_COMMAND install 'completion-aggregator>=5.0,<6.0'\n"

    # One for both: "production" has its environment from there, "development" is made from "production".
    assert [stage.split("\n")[0] for stage in stages if install in stage] == ["python AS python-requirements"]
    production = next(stage for stage in stages if stage.startswith("minimal AS production\n"))
    assert "--from=python-requirements /openedx/venv /openedx/venv" in production
    assert any(stage.startswith("production AS development\n") for stage in stages)


@pytest.fixture
def commands(enabled: Tutor, tmp_path: Path) -> Callable[[str], tuple[int, list[str]]]:
    """A function that runs a script where a `manage.py` stands that notes its arguments, and fails on request."""
    manage, notes = tmp_path / "manage.py", tmp_path / "notes"
    manage.write_text(f'#!/bin/sh\necho "$*" >>{notes}\ncase "$*" in *"$FAIL"*) exit 1;; esac\n')
    manage.chmod(0o755)

    def run(script: str, fail: str = "nothing") -> tuple[int, list[str]]:
        notes.write_text("")
        done = subprocess.run(
            ["sh", "-e", "-c", script], cwd=tmp_path, env={**os.environ, "FAIL": fail}, capture_output=True, check=False
        )
        return done.returncode, notes.read_text().splitlines()

    return run


def jobs(tutor: Tutor, *arguments: str) -> Iterator[tuple[str, str]]:
    """Give each service, and the script, that Tutor has docker run for an initialisation."""
    tutor.docker.unlink(missing_ok=True)
    tutor("local", "do", "init", *arguments)
    for line in tutor.docker.read_text().splitlines():
        asked = json.loads(line)
        if "run" in asked and "sh" in asked:
            shell = asked.index("sh")
            assert asked[shell : shell + 3] == ["sh", "-e", "-c"]
            yield asked[shell - 1], asked[-1]


def test_init_prepares_the_database(enabled: Tutor, commands: Any) -> None:
    [(service, script)] = jobs(enabled, f"--limit={PLUGIN}")

    assert service == "lms-job"
    assert commands(script) == (0, INIT)


def test_init_stops_at_the_first_failure(enabled: Tutor, commands: Any) -> None:
    [(_, script)] = jobs(enabled, f"--limit={PLUGIN}")

    assert commands(script, fail="migrate_aggregates") == (1, INIT[:2])


def test_a_whole_init_comes_to_it_after_the_platform_s_own_migrations(enabled: Tutor) -> None:
    scripts = [script for service, script in jobs(enabled) if service == "lms-job"]

    theirs = next(place for place, script in enumerate(scripts) if "./manage.py lms migrate\n" in script)
    ours = next(place for place, script in enumerate(scripts) if "migrate_aggregates" in script)
    assert theirs < ours
    # Tutor switches the noting of completions on, so that the plugin need not.
    assert "waffle_switch --create completion.enable_completion_tracking on" in scripts[theirs]


def test_options_change_what_is_rendered(tutor: Tutor) -> None:
    tutor.set(
        PIP_REQUIREMENT="completion-aggregator[xapi]==5.1.0",
        QUEUE="slow",
        WORKER_CONCURRENCY=3,
        INTERVAL=300,
        CLEANUP_HOUR=23,
        SETTINGS={
            "MEAN_CACHE_TIMEOUT": 60,
            "AGGREGATE_UNRELEASED_BLOCKS": True,
            "BLOCK_TYPES": ["course", "chapter"],
            "PAGINATION_CLASS": "it's.Mine",
        },
    )

    for name in SETTINGS:
        assert settings_of(tutor.read(f"apps/openedx/settings/{name}")) == {
            "COMPLETION_AGGREGATOR_ROUTING_KEY": "slow",
            "COMPLETION_AGGREGATOR_MEAN_CACHE_TIMEOUT": 60,
            "COMPLETION_AGGREGATOR_AGGREGATE_UNRELEASED_BLOCKS": True,
            "COMPLETION_AGGREGATOR_BLOCK_TYPES": ["course", "chapter"],
            "COMPLETION_AGGREGATOR_PAGINATION_CLASS": "it's.Mine",
        }
    worker = [*WORKER[:5], "--queues=slow", "--concurrency=3", *WORKER[7:]]
    service = [*SERVICE[:4], "--interval=300", "--cleanup-hour=23"]
    services = tutor.load("local/docker-compose.prod.yml")["services"]
    assert services["completion-aggregator-worker"]["command"] == worker
    assert services["completion-aggregator-service"]["command"] == service
    deployments = tutor.load_deployments()
    for name, command in (("worker", worker), ("service", service)):
        pod = deployments[f"completion-aggregator-{name}"]["spec"]["template"]["spec"]
        assert pod["containers"][0]["args"] == command
    development = tutor.load("dev/docker-compose.yml")["services"]["completion-aggregator-service"]["command"]
    assert development == [*service[:3], "--inline", *service[3:]]
    dockerfile = tutor.read("build/openedx/Dockerfile")
    assert "$PIP_COMMAND install 'completion-aggregator[xapi]==5.1.0'\n" in dockerfile


def test_a_checkout_can_take_the_place_of_the_package(tutor: Tutor, tmp_path: Path) -> None:
    checkout = tmp_path / "completion-aggregator"
    checkout.mkdir()
    tutor("mounts", "add", str(checkout))
    tutor.set(PIP_REQUIREMENT="")

    dockerfile = tutor.read("build/openedx/Dockerfile")
    assert "$PIP_COMMAND install 'completion-aggregator" not in dockerfile
    # In "production" and again in "development".
    assert dockerfile.count('RUN $PIP_COMMAND install -e "/mnt/completion-aggregator"\n') == 2
    mount = f"{checkout}:/mnt/completion-aggregator:z"
    services = tutor.load("local/docker-compose.prod.yml")["services"]
    for name in ("lms-worker", "completion-aggregator-worker", "completion-aggregator-service"):
        assert services[name]["volumes"] == [*VOLUMES, mount]
    development = tutor.load("dev/docker-compose.yml")["services"]["completion-aggregator-service"]
    assert development["volumes"] == [*VOLUMES, mount]


def test_disabling_it_removes_it_all(tutor: Tutor, fresh: Path) -> None:
    assert rendered(tutor.root) != rendered(fresh)

    tutor("plugins", "disable", PLUGIN)
    tutor("config", "save")

    assert rendered(tutor.root) == rendered(fresh)
