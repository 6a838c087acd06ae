"""The data of a run: the sample course, learners who have begun it, and one of the staff."""

from __future__ import annotations

from typing import NamedTuple

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.db import connections

from sample_lms.management.commands.demo import COURSE, COURSE_KEY
from sample_lms.olx import read_course
from sample_lms.publishing import publish
from sample_lms.simulation import simulate
from tests.soak.driver import PASSWORD


class Class(NamedTuple):
    """A course, what there is to do in it, and the learners."""

    course_key: str
    blocks: list[str]
    usernames: list[str]


def set_up(learners: int, seed: int) -> Class:
    """Make everything in an empty database; the account "staff" may see all of it."""
    call_command("migrate", verbosity=0)
    course = read_course(COURSE)
    publish(course)
    simulate(COURSE_KEY, learners=learners, seed=seed)
    users = get_user_model().objects
    users.update(password=make_password(PASSWORD))
    usernames = list(users.order_by("pk").values_list("username", flat=True))
    users.create_superuser("staff", password=PASSWORD)
    connections.close_all()
    return Class(str(COURSE_KEY), [block.key for block in course.blocks if not block.children], usernames)
