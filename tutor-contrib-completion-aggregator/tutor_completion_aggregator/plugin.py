"""What the plugin adds to Tutor: options, patches of the rendered files, and a task of `tutor … do init`."""

from __future__ import annotations

from pathlib import Path

from tutor import hooks

HERE = Path(__file__).parent

# The options; README.rst says what each is for.
hooks.Filters.CONFIG_DEFAULTS.add_items(
    [
        ("COMPLETION_AGGREGATOR_PIP_REQUIREMENT", "completion-aggregator>=5.0,<6.0"),
        ("COMPLETION_AGGREGATOR_QUEUE", "completion_aggregator"),
        ("COMPLETION_AGGREGATOR_WORKER_CONCURRENCY", 1),
        ("COMPLETION_AGGREGATOR_INTERVAL", 60),
        ("COMPLETION_AGGREGATOR_CLEANUP_HOUR", 4),
        ("COMPLETION_AGGREGATOR_SETTINGS", {}),
    ]
)

for path in sorted((HERE / "patches").iterdir()):
    hooks.Filters.ENV_PATCHES.add_item((path.name, path.read_text(encoding="utf-8")))

# The patches include files from there; none of them is rendered by itself.
hooks.Filters.ENV_TEMPLATE_ROOTS.add_item(str(HERE / "templates"))

# Tutor runs it after its own tasks of the LMS, and alone with `--limit=completion-aggregator`.
hooks.Filters.CLI_DO_INIT_TASKS.add_item(("lms", (HERE / "init.sh").read_text(encoding="utf-8")))

# `tutor mounts add /path/to/completion-aggregator` installs a checkout into the images.
hooks.Filters.MOUNTED_DIRECTORIES.add_item(("openedx", r"completion[-_]aggregator$"))
