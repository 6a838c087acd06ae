"""What operators are told, in the documentation and by the Tutor plugin, is what the code has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands, load_command_class

from completion_aggregator.management.commands.aggregator_status import _document
from completion_aggregator.selectors import get_status

ROOT = Path(__file__).resolve().parent.parent.parent
PLUGIN = ROOT / "tutor-contrib-completion-aggregator" / "tutor_completion_aggregator"


def commands() -> list[list[str]]:
    """Return every management command that the Tutor plugin runs in the LMS, with its arguments."""
    init = re.findall(r"^\./manage\.py lms (.+)$", (PLUGIN / "init.sh").read_text(), re.MULTILINE)
    found = [line.split() for line in init]
    development = (PLUGIN / "patches" / "local-docker-compose-dev-services").read_text()
    (development_list,) = re.findall(r"command: (\[.+\])", development)
    for text in ((PLUGIN / "templates/completion-aggregator/service.json").read_text(), development_list):
        manage, service, *command = json.loads(re.sub(r"{{.+?}}", "7", text))
        assert (manage, service) == ("./manage.py", "lms")
        found.append(command)
    return found


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_the_tutor_plugin_runs_commands_that_there_are(command: list[str]) -> None:
    name, *arguments = command
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)

    parser.parse_args(arguments)  # ends the process where it does not know an option


@pytest.mark.django_db
def test_the_page_on_operating_has_every_field_of_the_status() -> None:
    page = (ROOT / "docs/howto/operate.rst").read_text()
    table = page[page.index("* - Field") : page.index("Three things are worth an alarm")]
    told = {name for row in re.findall(r"^    \* - (``.+)$", table, re.MULTILINE) for name in re.findall(r"\w+", row)}

    assert told == set(_document(get_status(), None))


@pytest.mark.parametrize("page", ["operate", "run", "install-native", "install-tutor"])
def test_the_pages_name_commands_that_there_are(page: str) -> None:
    text = (ROOT / f"docs/howto/{page}.rst").read_text()
    told: set[Any] = set(re.findall(r"manage\.py (?:lms )?([a-z_]+)", text))
    # Commands of Open edX and of waffle.
    theirs = {"generate_course_blocks", "waffle_switch", "lms"}

    assert told
    assert told - theirs <= set(get_commands())
