"""The commands, as an operator calls them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from completion.models import BlockCompletion
from django.core.management import CommandError, call_command

from completion_aggregator.management.dispatch import dispatch
from completion_aggregator.management.stopping import Stop, stopping
from completion_aggregator.models import BlockAggregate, CourseAggregate, CourseBlock, StaleCompletion, Verification
from completion_aggregator.services import count_stale
from sample_lms.olx import OlxBlock
from tests.factories import (
    COURSE_KEY,
    SMALL_COURSE,
    EnrollmentFactory,
    UserFactory,
    complete,
    key,
    new_course_key,
    publish_course,
    small_course,
)
from tests.truth import assert_stored_is_computed

pytestmark = pytest.mark.django_db


def run(command: str, *args: str, **options: Any) -> list[str]:
    """Call a command; return the lines that it prints where there is no terminal."""
    out = StringIO()
    call_command(command, *args, stdout=out, **options)
    return out.getvalue().splitlines()


@pytest.fixture
def learners(course: Any) -> list[Any]:
    """Ten learners, each with one completion that is not aggregated yet."""
    users = [EnrollmentFactory().user for _ in range(10)]
    for user in users:
        complete(user, "html/h1")
    return users


class Terminal(StringIO):
    """A text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_service_sends_everybody_who_is_stale_to_the_workers(learners: list[Any]) -> None:
    assert run("run_aggregator_service", batch_size=5) == [
        "Stale learners: 5 of 10",
        "Stale learners: 10 of 10",
        "sent to the workers: 10 learners in 2 chunks",
    ]
    # The tests' workers run in the calling process.
    assert not StaleCompletion.objects.exists()
    assert CourseAggregate.objects.filter(earned=1.0).count() == 10


def test_the_service_aggregates_in_its_own_process(learners: list[Any]) -> None:
    lines = run("run_aggregator_service", inline=True)

    # A course row and eight blocks each: the course, two chapters, three sections, four units, less the course twice.
    assert lines[-1] == (
        "learners: 10, rows written: 110, rows deleted: 0, markers resolved: 20, failed: 0, skipped: 0"
    )
    assert_stored_is_computed(COURSE_KEY)


def test_the_service_writes_nothing_the_second_time(learners: list[Any]) -> None:
    run("run_aggregator_service", inline=True)

    assert run("run_aggregator_service", inline=True) == [
        "learners: 0, rows written: 0, rows deleted: 0, markers resolved: 0, failed: 0, skipped: 0"
    ]


def test_the_service_stops_at_the_limit_and_goes_on_from_there(learners: list[Any]) -> None:
    assert run("run_aggregator_service", inline=True, limit=4)[-1].startswith("learners: 4,")
    assert StaleCompletion.objects.values("user_id").distinct().count() == 6
    assert run("run_aggregator_service", inline=True, limit=7)[-1].startswith("learners: 6,")


def test_the_service_pauses_between_chunks(learners: list[Any]) -> None:
    lines = run("run_aggregator_service", inline=True, batch_size=5, delay_between_batches=0.001)

    assert lines[-1].startswith("learners: 10,")


def test_the_service_shows_a_bar_on_a_terminal(learners: list[Any]) -> None:
    out = Terminal()

    call_command("run_aggregator_service", inline=True, stdout=out)

    assert "Stale learners: 100%" in out.getvalue()
    assert "10/10" in out.getvalue()


@pytest.fixture(scope="module")
def own_database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a database for other processes; nothing is written to it."""
    url = f"sqlite:///{tmp_path_factory.mktemp('own')}/db.sqlite3"
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], env=os.environ | {"DATABASE_URL": url}, check=True)
    return url


@pytest.fixture
def service(own_database: str) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """A function that starts the service, for ever and in its own process, on an empty database."""
    manage = [sys.executable, "manage.py"]
    started = []

    def start(*arguments: str, database: str = own_database) -> subprocess.Popen[str]:
        process = subprocess.Popen(  # noqa: S603
            [*manage, "run_aggregator_service", "--inline", "--forever", *arguments],
            env=os.environ | {"DATABASE_URL": database},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A shell has its background jobs ignore interrupts, and they pass it on.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_service_passes_for_ever(service: Any) -> None:
    process = service("--interval", "0.01")

    assert [process.stdout.readline().split(",")[0] for _ in range(3)] == ["learners: 0"] * 3
    assert process.poll() is None


def test_the_service_waits_for_its_database(service: Any, own_database: str, tmp_path: Path) -> None:
    database = tmp_path / "later" / "db.sqlite3"
    process = service("--interval", "0.2", database=f"sqlite:///{database}")

    line = 'pass_failed cause="The database has failed: unable to open database file" next_try_in=0.200\n'
    assert [process.stdout.readline() for _ in range(2)] == [line] * 2
    database.parent.mkdir()
    database.symlink_to(own_database.removeprefix("sqlite:///"))
    done = next(said for said in process.stdout if said != line)

    assert done.startswith("learners: 0,")
    assert process.poll() is None


def test_a_single_pass_ends_with_a_line_when_the_database_is_away(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "run_aggregator_service"],
        env=os.environ | {"DATABASE_URL": f"sqlite:///{tmp_path}/nowhere/db.sqlite3"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == "CommandError: The database has failed: unable to open database file\n"
    assert (done.stdout, done.returncode) == ("", 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_service_shows_each_pass_at_once_and_ends_when_it_is_asked_to(service: Any, number: signal.Signals) -> None:
    process = service("--interval", "3600")

    assert process.stdout.readline().startswith("learners: 0,")
    process.send_signal(number)
    rest, _ = process.communicate(timeout=60)

    assert (rest, process.returncode) == ("stopped\n", 0)


def test_being_asked_to_stop_the_service_ends_with_the_chunk_in_its_hands(learners: list[Any]) -> None:
    stop = Stop()
    options = {"batch_size": 4, "delay_between_batches": 0, "routing_key": None, "inline": False}

    def ask(done: int) -> None:
        stop.asked = True

    assert dispatch(options, ask, stop=stop) == "sent to the workers: 4 learners in 1 chunks"
    # Whoever was not sent is not claimed either.
    assert not CourseAggregate.objects.exclude(queued_until=None).exists()
    assert count_stale(unclaimed=True) == 6


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Let an interrupt interrupt, as on a terminal: a shell has what it runs in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_the_second_signal_has_its_usual_effect() -> None:
    with stopping() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_signals_are_as_before_when_the_service_has_ended() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with stopping():
        assert signal.getsignal(signal.SIGTERM) != before

    assert signal.getsignal(signal.SIGTERM) == before


def test_outside_of_the_main_thread_signals_are_left_alone() -> None:
    asked = []

    def work() -> None:
        with stopping() as stop:
            asked.append(stop.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert asked == [False]


@pytest.mark.django_db(transaction=True)  # It drops connections between two passes.
def test_the_service_cleans_up_once_a_day(learners: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(
        datetime(2026, 3, day, hour, minute, tzinfo=UTC)
        for day, hour, minute in [(1, 3, 59), (1, 4, 0), (1, 4, 1), (1, 5, 0), (2, 4, 59)]
    )
    passes = 0

    def sleep(stop: Stop, seconds: float) -> None:
        nonlocal passes
        passes += 1
        if passes == 5:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("completion_aggregator.management.commands.run_aggregator_service._now", lambda: next(moments))
    monkeypatch.setattr(Stop, "sleep", sleep)

    lines = run("run_aggregator_service", inline=True, forever=True, cleanup_hour=4)

    assert [line.split(":")[0] for line in lines if not line.startswith("Stale")] == [
        "learners",
        *("deleted", "learners"),
        "learners",
        "learners",
        *("deleted", "learners"),
        "stopped",
    ]
    assert Verification.objects.get().learners == len(learners)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "--batch-size must be above 0."),
        ({"limit": 0}, "--limit must be above 0."),
        ({"limit": -1}, "--limit must be above 0."),
        ({"delay_between_batches": -1.0}, "--delay-between-batches must not be negative."),
        ({"interval": 0.0}, "--interval must be above 0."),
        ({"inline": True, "routing_key": "slow"}, "--inline and --routing-key exclude each other."),
        ({"forever": True, "cleanup_hour": 24}, "--cleanup-hour must be 0 to 23."),
        ({"forever": True, "cleanup_hour": -1}, "--cleanup-hour must be 0 to 23."),
        ({"cleanup_hour": 4}, "--cleanup-hour goes with --forever."),
    ],
)
def test_the_service_refuses_senseless_options_in_a_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(CommandError, match=f"^{message}$"):
        run("run_aggregator_service", **options)


def test_a_refusal_is_one_line_and_exit_status_1(tmp_path: Path) -> None:
    refused = subprocess.run(
        [sys.executable, "manage.py", "reaggregate_course", "nonsense"],
        env={**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (refused.returncode, refused.stdout, refused.stderr) == (
        1,
        "",
        "CommandError: 'nonsense' is not a course key.\n",
    )


def test_reaggregating_a_course_computes_everybody_in_it(learners: list[Any]) -> None:
    run("run_aggregator_service", inline=True)
    BlockAggregate.objects.filter(user=learners[0]).update(earned=5.0)
    BlockAggregate.objects.filter(user=learners[1]).delete()
    CourseAggregate.objects.filter(user=learners[2]).update(percent=1.0)

    lines = run("reaggregate_course", str(COURSE_KEY), inline=True)

    assert lines == [
        f"{COURSE_KEY}: 10 learners",
        "Learners: 10 of 10",
        "learners: 10, rows written: 21, rows deleted: 0, markers resolved: 10, failed: 0, skipped: 0",
    ]
    assert_stored_is_computed(COURSE_KEY)


def test_reaggregating_all_takes_every_course_with_an_enrollment(learners: list[Any]) -> None:
    other = new_course_key()
    publish_course(small_course(other), other)
    EnrollmentFactory(course_id=other)

    lines = run("reaggregate_course", all=True)

    assert sorted(lines[:2]) == sorted([f"{COURSE_KEY}: 10 learners", f"{other}: 1 learners"])
    assert lines[-1] == "sent to the workers: 11 learners in 2 chunks"


def test_a_dry_run_only_tells(learners: list[Any]) -> None:
    run("run_aggregator_service", inline=True)

    assert run("reaggregate_course", str(COURSE_KEY), dry_run=True) == [
        f"{COURSE_KEY}: 10 learners would be aggregated"
    ]
    assert not StaleCompletion.objects.exists()


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ([], {}, "Name one or more courses, or --all."),
        (["course-v1:a+b+c"], {"all": True}, "Name one or more courses, or --all."),
        (["nonsense"], {}, "'nonsense' is not a course key."),
        (["course-v1:No+Such+Course"], {}, "The LMS has no course course-v1:No+Such+Course."),
    ],
)
def test_wrong_and_unknown_courses_are_refused_before_anything_is_done(
    learners: list[Any], args: list[str], options: dict[str, Any], message: str
) -> None:
    before = list(StaleCompletion.objects.order_by("pk").values_list("pk", flat=True))

    with pytest.raises(CommandError) as refusal:
        run("reaggregate_course", *[*([str(COURSE_KEY)] if args else []), *args], **options)

    assert str(refusal.value) == message
    assert list(StaleCompletion.objects.order_by("pk").values_list("pk", flat=True)) == before


def test_whoever_was_never_aggregated_is_marked_once(learners: list[Any]) -> None:
    run("run_aggregator_service", inline=True)
    other = new_course_key()
    publish_course(small_course(other), other)
    EnrollmentFactory(course_id=other)
    EnrollmentFactory(course_id=other)
    EnrollmentFactory(course_id=new_course_key())  # of a course that is gone
    # As if nobody had been there to note that they enrolled.
    StaleCompletion.objects.all().delete()

    assert run("mark_never_aggregated") == [f"{other}: 2 learners", "marked: 2 learners"]
    assert run("mark_never_aggregated") == ["marked: 0 learners"]
    run("run_aggregator_service", inline=True)
    assert run("mark_never_aggregated") == ["marked: 0 learners"]
    assert_stored_is_computed(other)


def test_whoever_has_failed_is_not_marked_again(learners: list[Any]) -> None:
    StaleCompletion.objects.update(attempts=10)

    assert run("mark_never_aggregated") == ["marked: 0 learners"]


def test_the_cleanup_deletes_what_nobody_asks_for_again(learners: list[Any], settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_BULK_BUDGET = None
    run("run_aggregator_service", inline=True)
    # A unit goes; its aggregates with it, at the next run.
    publish_course(_without_the_last_section())
    run("run_aggregator_service", inline=True)
    # A user goes without Django noticing.
    gone = UserFactory()
    gone_id = gone.pk
    gone.delete()
    course = CourseAggregate.objects.first().course  # type: ignore[union-attr]
    CourseAggregate.objects.create(course=course, user_id=gone_id)
    StaleCompletion.objects.create(user_id=gone_id, course_key=str(COURSE_KEY))

    (line,) = run("run_aggregator_cleanup")
    assert line == (
        "deleted: 1 markers, 1 course aggregates, 0 block aggregates, 0 reached thresholds, 4 blocks, 0 notes of "
        "chunks, 0 learner snapshots, 0 old snapshots"
    )
    assert CourseBlock.objects.filter(position=None).count() == 0
    assert_stored_is_computed(COURSE_KEY)


def _without_the_last_section() -> Iterator[OlxBlock]:
    """Give the small course without its last section and the three blocks in it."""
    gone = {key(name) for name in ("sequential/s3", "vertical/v4", "html/h4", "video/m1")}
    for block in SMALL_COURSE:
        if block.key not in gone:
            yield replace(block, children=tuple(child for child in block.children if child not in gone))


def test_completions_are_counted_by_the_next_pass(learners: list[Any]) -> None:
    run("run_aggregator_service", inline=True)
    BlockCompletion.objects.filter(user=learners[0]).delete()
    complete(learners[1], "html/h2")

    run("run_aggregator_service", inline=True)

    earned = dict(CourseAggregate.objects.values_list("user_id", "earned"))
    assert (earned[learners[0].pk], earned[learners[1].pk], earned[learners[2].pk]) == (0.0, 2.0, 1.0)
