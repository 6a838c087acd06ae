"""Who is aggregated next: turns, ages, claims, failures; and what is told about it."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from completion_aggregator.models import AggregatedChunk, Course, CourseAggregate, StaleCompletion
from completion_aggregator.selectors import get_status
from completion_aggregator.selectors.status import Backlog, Failure
from completion_aggregator.services import (
    Chunk,
    aggregate_chunk,
    aggregate_stale,
    claim_stale_chunks,
    clean_up,
    count_stale,
    find_stale_chunks,
    mark_completion,
    mark_learners,
    release,
    retry_failed,
)
from tests.factories import (
    COURSE_KEY,
    SMALL_COURSE,
    EnrollmentFactory,
    UserFactory,
    complete,
    key,
    new_course_key,
    publish_course,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def ids() -> list[int]:
    """Five learners of the small course, aggregated."""
    publish_course()
    user_ids = [EnrollmentFactory().user.pk for _ in range(5)]
    aggregate_stale()
    return user_ids


def chunk(*user_ids: int) -> Chunk:
    return Chunk(str(COURSE_KEY), list(user_ids))


# Turns and ages


def test_courses_take_turns_the_longest_waiting_first() -> None:
    first, second = new_course_key(), new_course_key()
    users = [UserFactory().pk for _ in range(3)]
    mark_learners(second, users[:1])
    mark_learners(first, users)
    mark_learners(second, users[1:])

    assert list(find_stale_chunks(chunk_size=1)) == [
        Chunk(str(second), users[:1]),
        Chunk(str(first), users[:1]),
        Chunk(str(second), users[1:2]),
        Chunk(str(first), users[1:2]),
        Chunk(str(second), users[2:]),
        Chunk(str(first), users[2:]),
    ]


def test_within_a_course_the_oldest_marker_decides(ids: list[int]) -> None:
    for user_id in (ids[3], ids[1], ids[4], ids[1], ids[3]):
        mark_completion(user_id, COURSE_KEY, key("html/h1"))

    assert list(find_stale_chunks(chunk_size=2)) == [chunk(ids[3], ids[1]), chunk(ids[4])]


def test_a_learner_who_is_marked_all_the_time_does_not_starve_another(ids: list[int]) -> None:
    """A pass that may take only one learner takes the one who has waited longest."""
    taken = []
    mark_learners(COURSE_KEY, ids[:3])
    for _ in range(3):
        (found,) = find_stale_chunks(limit=1)
        taken += found.user_ids
        aggregate_chunk(found)
        mark_learners(COURSE_KEY, ids[:1])

    assert taken == ids[:3]


def test_a_pass_ends_though_learners_are_marked_while_it_runs(ids: list[int]) -> None:
    mark_learners(COURSE_KEY, ids)
    passed = 0
    for found in find_stale_chunks(chunk_size=1):
        passed += 1
        aggregate_chunk(found)
        mark_learners(COURSE_KEY, ids)

    assert passed == 5


def test_a_pass_goes_on_though_a_new_version_is_met_in_it(
    ids: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    """The first chunk notices what was published, and has everybody marked anew."""
    publish_course([*SMALL_COURSE])
    mark_learners(COURSE_KEY, ids)

    with django_capture_on_commit_callbacks(execute=True):
        assert aggregate_stale(chunk_size=2).learners == 5
    assert StaleCompletion.objects.count() == 0


def test_finding_takes_one_query_for_each_chunk(ids: list[int]) -> None:
    mark_learners(COURSE_KEY, ids)
    mark_learners(COURSE_KEY, ids)

    with CaptureQueriesContext(connection) as queries:
        assert len(list(find_stale_chunks(chunk_size=2))) == 3

    # The newest marker, the courses and those of bulk work, and the chunks.
    assert len(queries) == 3 + 3


# Claims


def test_nobody_is_claimed_twice(ids: list[int]) -> None:
    mark_learners(COURSE_KEY, ids)

    first = list(claim_stale_chunks(chunk_size=2))
    mark_learners(COURSE_KEY, ids[:1])

    assert first == [chunk(*ids[:2]), chunk(*ids[2:4]), chunk(ids[4])]
    assert list(claim_stale_chunks()) == []
    assert (count_stale(), count_stale(unclaimed=True)) == (5, 0)


def test_claims_of_two_passes_at_once_do_not_overlap(ids: list[int]) -> None:
    mark_learners(COURSE_KEY, ids)
    one, other = claim_stale_chunks(chunk_size=2), claim_stale_chunks(chunk_size=2)

    taken = [next(one), next(other), next(one)]

    assert [each.user_ids for each in taken] == [ids[:2], ids[2:4], ids[4:]]
    assert [*one, *other] == []


def test_a_claim_ends_when_its_learner_is_aggregated(ids: list[int]) -> None:
    mark_learners(COURSE_KEY, ids)
    (claimed,) = claim_stale_chunks()
    complete_by_id(ids[0])

    aggregate_chunk(claimed)
    mark_learners(COURSE_KEY, ids)

    # Of the first the values have changed, of the others nothing has.
    assert set(CourseAggregate.objects.values_list("queued_until", flat=True)) == {None}
    assert list(claim_stale_chunks()) == [claimed]


def complete_by_id(user_id: int) -> None:
    complete(EnrollmentFactory._meta.model.objects.get(user_id=user_id).user, "html/h1")


def test_a_claim_ends_when_its_learner_fails(ids: list[int], settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_RETRY_DELAY = 0
    nowhere = new_course_key()
    mark_learners(nowhere, ids[:2])
    (claimed,) = claim_stale_chunks()

    assert aggregate_chunk(claimed).failed == 2
    assert list(claim_stale_chunks()) == [claimed]


def test_a_lost_chunk_is_sent_again(ids: list[int]) -> None:
    mark_learners(COURSE_KEY, ids)
    list(claim_stale_chunks())
    CourseAggregate.objects.update(queued_until=timezone.now())

    assert list(claim_stale_chunks()) == [chunk(*ids)]
    until = CourseAggregate.objects.values_list("queued_until", flat=True).distinct().get()
    assert timedelta(minutes=59) < until - timezone.now() <= timedelta(hours=1)


def test_a_chunk_that_could_not_be_sent_is_free_again(ids: list[int]) -> None:
    mark_learners(COURSE_KEY, ids)
    (claimed,) = claim_stale_chunks()

    release(claimed)

    assert list(claim_stale_chunks()) == [claimed]


def test_work_in_this_process_takes_no_notice_of_claims(ids: list[int]) -> None:
    mark_learners(COURSE_KEY, ids)
    list(claim_stale_chunks())

    assert aggregate_stale().learners == 5
    assert set(CourseAggregate.objects.values_list("queued_until", flat=True)) == {None}


def test_learners_never_aggregated_of_an_unknown_course_are_claimed_too(ids: list[int]) -> None:
    nowhere = new_course_key()
    mark_learners(nowhere, ids)

    assert list(claim_stale_chunks(course_keys=[str(nowhere)])) == [Chunk(str(nowhere), ids)]
    assert Course.objects.get(course_key=str(nowhere)).version == ""


def test_claiming_takes_as_many_statements_for_many_as_for_one(ids: list[int]) -> None:
    counts = []
    for user_ids in (ids[:1], ids[1:]):
        mark_learners(COURSE_KEY, user_ids)
        with CaptureQueriesContext(connection) as queries:
            list(claim_stale_chunks())
        counts.append(len(queries))

    assert counts[0] == counts[1]


# Failures


def test_given_up_learners_are_tried_again_on_demand(ids: list[int], settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_MAX_ATTEMPTS = 1
    nowhere, elsewhere = new_course_key(), new_course_key()
    mark_learners(nowhere, ids[:2])
    mark_learners(elsewhere, ids[:1])
    assert aggregate_stale().failed == 3
    assert count_stale() == 0

    assert retry_failed([str(nowhere)]) == 2
    assert list(find_stale_chunks()) == [Chunk(str(nowhere), ids[:2])]
    assert retry_failed() == 1
    assert retry_failed() == 0
    marker = StaleCompletion.objects.filter(course_key=str(elsewhere)).get()
    assert (marker.attempts, marker.not_before, marker.last_error) == (0, None, "")


# What is told


def test_the_status_of_a_site_where_nothing_happens() -> None:
    status = get_status()

    assert (status.learners, status.markers, status.due, status.queued, status.waiting, status.given_up) == (0,) * 6
    assert (status.oldest, status.last_finished_at, status.rate) == (None, None, 0.0)
    assert (list(status.courses), list(status.failures)) == ([], [])


def test_the_status_tells_what_waits_and_why(ids: list[int], settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_MAX_ATTEMPTS = 2
    nowhere = new_course_key()
    mark_learners(nowhere, ids[:3])
    aggregate_stale()
    StaleCompletion.objects.filter(user_id=ids[0]).update(attempts=2)
    mark_learners(COURSE_KEY, ids)
    mark_completion(ids[0], COURSE_KEY, key("html/h1"))
    next(claim_stale_chunks(chunk_size=1))

    status = get_status()

    # The one learner claimed has two markers.
    assert (status.learners, status.markers, status.due, status.queued) == (8, 9, 6, 2)
    assert (status.waiting, status.given_up) == (2, 1)
    oldest = dict(StaleCompletion.objects.order_by("-id").values_list("course_key", "created"))
    assert status.oldest == StaleCompletion.objects.get(user_id=ids[1], course_key=str(nowhere)).created
    assert status.courses == [
        Backlog(str(COURSE_KEY), 5, 6, oldest[str(COURSE_KEY)]),
        Backlog(str(nowhere), 3, 3, oldest[str(nowhere)]),
    ]
    assert status.failures == [Failure(f"CourseNotFoundError: The LMS has no course {nowhere}.", 3, 1)]


def test_the_status_tells_how_fast_it_goes(ids: list[int]) -> None:
    AggregatedChunk.objects.all().delete()
    mark_learners(COURSE_KEY, ids)
    complete_by_id(ids[0])
    aggregate_stale()
    old = AggregatedChunk.objects.get()
    assert (old.learners, old.written, old.deleted, old.resolved, old.failed, old.skipped) == (5, 5, 0, 6, 0, 0)
    old.pk = None
    old.finished_at -= timedelta(minutes=61)
    old.save()

    status = get_status()

    assert (status.learners_last_hour, status.rows_last_hour) == (5, 5)
    assert 0.0 < status.seconds_last_hour < 60
    assert status.rate == 5 / 3600
    assert status.last_finished_at == AggregatedChunk.objects.latest("finished_at").finished_at


def test_the_cleanup_forgets_what_was_aggregated_a_week_ago(ids: list[int]) -> None:
    AggregatedChunk.objects.update(finished_at=timezone.now() - timedelta(days=7, seconds=1))
    mark_learners(COURSE_KEY, ids)
    aggregate_stale()

    assert clean_up().chunks == 1
    assert AggregatedChunk.objects.count() == 1


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("aggregator_status", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_tells_the_status(ids: list[int], settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_MAX_ATTEMPTS = 1
    nowhere = new_course_key()
    mark_learners(nowhere, ids[:2])
    aggregate_stale()
    mark_learners(COURSE_KEY, ids)

    lines = run().splitlines()

    assert [line.split("  ")[0] for line in lines[:2]] == ["stale learners:", "open markers:"]
    assert lines[5] == "  after a failure:   0 waiting, 2 given up"
    assert lines[-1] == f"         2  CourseNotFoundError: The LMS has no course {nowhere}. (2 given up)"
    assert f"         5  {COURSE_KEY}, oldest 0:00:00 ago" in lines


def test_the_command_tells_the_status_to_machines(ids: list[int]) -> None:
    mark_learners(COURSE_KEY, ids)

    document = json.loads(run("--json"))

    oldest = StaleCompletion.objects.earliest("id").created.isoformat()
    assert 0.0 <= document.pop("oldest_age") < 60
    assert document.pop("seconds_last_hour") > 0.0
    assert document == {
        "learners": 5,
        "markers": 5,
        "due": 5,
        "bulk": 0,
        "bulk_budget": 30,
        "bulk_seconds_left": 0.0,
        "waiting": 0,
        "given_up": 0,
        "oldest": oldest,
        "queued": 0,
        "courses": [{"course_key": str(COURSE_KEY), "learners": 5, "markers": 5, "oldest": oldest}],
        "failures": [],
        "learners_last_hour": 5,
        "rows_last_hour": 60 - 5,
        "last_finished_at": AggregatedChunk.objects.get().finished_at.isoformat(),
        "rate": 5 / 3600,
        "migration": None,
    }


def test_the_command_makes_failed_markers_due(ids: list[int]) -> None:
    nowhere, elsewhere = new_course_key(), new_course_key()
    mark_learners(nowhere, ids[:2])
    mark_learners(elsewhere, ids[:1])
    aggregate_stale()

    assert json.loads(run("--json", "--retry-failed", str(nowhere)))["retried"] == 2
    assert "made due again: 1 markers" in run("--retry-failed")
    assert count_stale() == 3


def test_the_command_refuses_what_is_no_course_key() -> None:
    with pytest.raises(CommandError, match="not a course key: nonsense"):
        run("--retry-failed", "nonsense")
