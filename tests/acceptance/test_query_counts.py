"""How many queries each endpoint takes, the authentication included.

Warm: the process has the structure of the course in memory, as it has after the first answer about a version.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.db import connection
from django.db.models.signals import post_init
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey
from rest_framework.serializers import BaseSerializer

from completion_aggregator.models import BlockAggregate, CourseAggregate, StaleCompletion
from completion_aggregator.models import Course as AggregatedCourse
from completion_aggregator.selectors import structure
from completion_aggregator.services import aggregate, aggregate_stale
from sample_lms.lms import _load_content
from sample_lms.models import CohortMembership, Course, CourseAccessRole, Enrollment
from tests.acceptance.helpers import BULK, DETAIL, EVERYTHING, EXPLAIN, LIST, REFRESH, STATS, with_password
from tests.factories import (
    COURSE_KEY,
    CohortFactory,
    EnrollmentFactory,
    UserFactory,
    block,
    complete,
    key,
    publish_course,
    small_course,
)

LIST_BUDGET = 8
FRESH_BUDGET = 6
STALE_BUDGET = 10
EVERYBODY_BUDGET = 8
STATS_BUDGET = 5
EXPLAIN_BUDGET = 13
BULK_BUDGET = 7


def become_cold() -> None:
    """Let the process and the cache know nothing, as after a start."""
    structure._structures.clear()
    _load_content.cache_clear()
    cache.clear()


def queries_of(client: Client, url: str, query: dict[str, Any]) -> list[str]:
    """Return the SQL of a question that is answered with 200."""
    with CaptureQueriesContext(connection) as captured:
        response = client.get(url, query)
    assert response.status_code == 200, response.content
    assert response.json()["results"]
    return [each["sql"] for each in captured.captured_queries]


def enroll_many(number: int, prefix: str) -> list[int]:
    """Enroll so many new users at once; return their ids."""
    users = get_user_model()
    users.objects.bulk_create(users(username=f"{prefix}{i}") for i in range(number))
    ids = list(users.objects.filter(username__startswith=prefix).values_list("pk", flat=True))
    Enrollment.objects.bulk_create(Enrollment(user_id=pk, course_id=COURSE_KEY) for pk in ids)
    return ids


def report(name: str, *queries: list[str]) -> str:
    return "\n".join([name, *(sql for each in queries for sql in each)])


# --- list -----------------------------------------------------------------------------------------------------------


def many_courses(user: Any, numbers: range) -> None:
    for number in numbers:
        course_key = CourseKey.from_string(f"course-v1:Org+Many+{number:03}")
        publish_course(small_course(course_key), course_key)
        EnrollmentFactory(user=user, course_id=course_key)
        complete(user, "html/h1", course_key=course_key)
    aggregate_stale()


@pytest.mark.parametrize("fields", ["", EVERYTHING])
@pytest.mark.parametrize("is_warm", [False, True])
def test_the_list_of_thirty_courses_costs_what_the_list_of_one_costs(
    client: Client, db: None, fields: str, is_warm: bool
) -> None:
    user = UserFactory(username="ada")
    with_password(client, user)
    query = {"username": "ada", "requested_fields": fields, "page_size": 100}
    counts = []
    for numbers in (range(1), range(1, 30)):
        many_courses(user, numbers)
        if is_warm:
            queries_of(client, LIST, query)
            cache.clear()
        else:
            become_cold()
        counts.append(queries_of(client, LIST, query))

    assert len(counts[0]) == len(counts[1]), report("not the same", *counts)
    # In a process that has just started, one query reads all the structures.
    assert len(counts[1]) <= LIST_BUDGET, report("over the budget", counts[1])


# --- one learner ----------------------------------------------------------------------------------------------------

DETAIL_QUERIES = {
    "course only": {},
    "all fields": {"requested_fields": EVERYTHING, "include_optional": "true"},
    "root block": {"root_block": key("chapter/c1")},
    "root block and all fields": {"root_block": key("chapter/c1"), "requested_fields": EVERYTHING},
}


@pytest.mark.parametrize("query", DETAIL_QUERIES.values(), ids=DETAIL_QUERIES)
def test_a_fresh_learner_costs_at_most_six_queries(client: Client, learner: Any, query: dict[str, str]) -> None:
    complete(learner, "html/h1", "html/h4")
    aggregate_stale()
    with_password(client, learner)
    query = {"username": "ada"} | query
    become_cold()
    cold = queries_of(client, DETAIL, query)
    warm = queries_of(client, DETAIL, query)
    cache.clear()
    without_mean = queries_of(client, DETAIL, query)

    asks_for_mean = query.get("requested_fields") == EVERYTHING
    needs_structure = len(query) > 1
    assert len(without_mean) <= FRESH_BUDGET, report("over the budget", without_mean)
    # The mean is worked out at most once in five minutes, the structure read once per process and version.
    assert len(without_mean) == len(warm) + asks_for_mean, report("without the mean in the cache", without_mean)
    assert len(cold) == len(without_mean) + needs_structure, report("cold", cold)


@pytest.mark.parametrize("query", DETAIL_QUERIES.values(), ids=DETAIL_QUERIES)
def test_a_stale_learner_costs_at_most_ten_queries(client: Client, learner: Any, query: dict[str, str]) -> None:
    complete(learner, "html/h1", "html/h4")
    aggregate_stale()
    complete(learner, "html/h2")
    with_password(client, learner)
    query = {"username": "ada"} | query
    become_cold()
    cold = queries_of(client, DETAIL, query)
    cache.clear()
    warm = queries_of(client, DETAIL, query)

    assert len(warm) <= STALE_BUDGET, report("over the budget", warm)
    # The structure, and the four queries of the sample LMS that read a version of a course.
    assert len(cold) <= STALE_BUDGET + 4, report("cold", cold)


def test_a_stale_learner_costs_the_same_however_much_was_done(client: Client, learner: Any) -> None:
    with_password(client, learner)
    query = {"username": "ada", "requested_fields": EVERYTHING}
    aggregate_stale()
    queries_of(client, DETAIL, query)
    complete(learner, "html/h1")
    one = queries_of(client, DETAIL, query)
    complete(learner, "html/h2", "html/h3", "html/h4", "problem/p1", "video/m1")

    assert len(queries_of(client, DETAIL, query)) == len(one)


# --- everybody ------------------------------------------------------------------------------------------------------


def test_five_hundred_learners_cost_what_ten_cost(client: Client, learner: Any, staff: Any) -> None:
    complete(learner, "html/h1", "html/h4")
    aggregate(COURSE_KEY, [learner.pk, *enroll_many(499, "u")])
    with_password(client, staff)
    query = {"requested_fields": EVERYTHING, "include_optional": "true"}
    become_cold()
    cold = queries_of(client, DETAIL, query | {"page_size": 10})
    few = queries_of(client, DETAIL, query | {"page_size": 10})
    many = queries_of(client, DETAIL, query | {"page_size": 500})
    cache.clear()
    without_mean = queries_of(client, DETAIL, query | {"page_size": 500})

    assert len(few) == len(many), report("not the same", few, many)
    assert len(without_mean) == len(many) + 1
    assert len(without_mean) <= EVERYBODY_BUDGET, report("over the budget", without_mean)
    assert len(cold) == len(without_mean) + 1, report("cold", cold)


@pytest.mark.parametrize("number", [1, 12, 25])
def test_names_are_read_for_the_page_alone(client: Client, course: Any, staff: Any, number: int) -> None:
    enroll_many(50, "u")
    with_password(client, staff)
    query = {"page": number, "page_size": 2}

    queries = queries_of(client, DETAIL, query)

    walked = [sql for sql in queries if "sample_lms_enrollment" in sql]
    assert len(walked) == 2, report("count and page", queries)
    # Both come from an index of the enrollments alone, the second half of the pages from its end.
    assert not any("auth_user" in sql for sql in walked)
    assert ("DESC" in walked[1]) == (number > 13)


def test_no_model_instance_is_made_of_what_is_stored(client: Client, staff: Any, course: Any) -> None:
    users = [EnrollmentFactory().user for _ in range(20)]
    complete(users[0], "html/h1")
    aggregate_stale()
    with_password(client, staff)
    made: list[type] = []

    def note(sender: type, **kwargs: Any) -> None:
        made.append(sender)

    models = (BlockAggregate, CourseAggregate, StaleCompletion, Enrollment)
    for model in models:
        post_init.connect(note, sender=model)
    try:
        for how in ({}, {"cursor": ""}):
            queries_of(client, DETAIL, {"requested_fields": EVERYTHING, "include_optional": "true"} | how)
    finally:
        for model in models:
            post_init.disconnect(note, sender=model)

    assert made == []


def test_blocks_are_no_objects_of_serializers(
    client: Client, staff: Any, course: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    enroll_many(20, "u")
    aggregate_stale()
    with_password(client, staff)
    made: list[Any] = []
    make = BaseSerializer.__init__

    def note(self: Any, *args: Any, **kwargs: Any) -> None:
        made.append(self)
        make(self, *args, **kwargs)

    monkeypatch.setattr(BaseSerializer, "__init__", note)
    counts = []
    for size in (1, 20):
        made.clear()
        queries_of(client, DETAIL, {"requested_fields": EVERYTHING, "page_size": size})
        counts.append(len(made))

    assert counts == [2, 2], "one for the list, one for whatever is in it"


# --- stats ----------------------------------------------------------------------------------------------------------


def aggregated(ids: list[int]) -> None:
    """Store that each of them has done half of the course."""
    course = AggregatedCourse.objects.get(course_key=str(COURSE_KEY))
    CourseAggregate.objects.bulk_create(
        (
            CourseAggregate(course=course, user_id=pk, earned=3.0, possible=6, percent=0.5, computed_at=timezone.now())
            for pk in ids
        ),
        batch_size=1_000,
    )


@pytest.fixture
def filters(learner: Any) -> dict[str, Any]:
    """All that can be asked of the stats at once."""
    aggregate_stale()
    Course.objects.update(cohorted=True)
    cohorts = [CohortFactory().pk, CohortFactory().pk]
    return {
        "cohorts": ",".join(map(str, cohorts)),
        "exclude_roles": "staff,beta",
        "requested_fields": "mean",
    }


@pytest.mark.parametrize("is_filtered", [False, True])
def test_stats_of_ten_thousand_learners_cost_what_those_of_ten_cost(
    client: Client, filters: dict[str, Any], staff: Any, is_filtered: bool
) -> None:
    with_password(client, staff)
    query = filters if is_filtered else {}
    cohort = int(filters["cohorts"].split(",")[0])
    counts = []
    for number in (10, 9_990):
        ids = enroll_many(number, f"u{number}-")
        aggregated(ids)
        CohortMembership.objects.bulk_create(
            (CohortMembership(user_id=pk, cohort_id=cohort, course_id=COURSE_KEY) for pk in ids), batch_size=1_000
        )
        CourseAccessRole.objects.bulk_create(
            CourseAccessRole(user_id=pk, org="Org", course_id=COURSE_KEY, role="beta_testers") for pk in ids[::2]
        )
        cache.clear()
        counts.append(queries_of(client, STATS, query))

    assert len(counts[0]) == len(counts[1]), report("not the same", *counts)
    assert len(counts[1]) <= STATS_BUDGET, report("over the budget", counts[1])
    # What comes back from the table of enrollments is sums, not learners.
    assert [sql for sql in counts[1] if "sample_lms_enrollment" in sql and "SUM(" not in sql] == []
    (result,) = client.get(STATS, query).json()["results"]
    # Besides, there is the learner of the fixtures, who has done nothing, and is in no cohort.
    earned = 3.0 if is_filtered else 3.0 * 10_000 / 10_001
    assert result["mean_completion"]["earned"] == pytest.approx(earned)
    assert result["mean_completion"]["possible"] == 6.0


@pytest.mark.parametrize("who", ["course staff", "learner"])
def test_stats_cost_the_other_askers_no_more(client: Client, filters: dict[str, Any], learner: Any, who: str) -> None:
    aggregated(enroll_many(10, "u"))
    if who == "course staff":
        user = UserFactory()
        CourseAccessRole.objects.create(user=user, org="Org", course_id=COURSE_KEY, role="staff")
    else:
        user = learner
        del filters["cohorts"]
    with_password(client, user)

    queries = queries_of(client, STATS, filters)
    assert len(queries) <= STATS_BUDGET, report("over the budget", queries)
    allowed = [learner.pk] if who == "learner" else []
    loading = [sql for sql in queries if "sample_lms_enrollment" in sql and "SUM(" not in sql]
    assert len(loading) == len(allowed), "the learner's own enrollment is looked up, nothing else"


# --- explain --------------------------------------------------------------------------------------------------------


def explaining(client: Client) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        response = client.get(EXPLAIN, {"username": "me"})
    assert response.status_code == 200, response.content
    return [each["sql"] for each in captured.captured_queries]


def test_explaining_costs_the_same_however_large_the_course_and_however_much_was_done(
    client: Client, learner: Any
) -> None:
    with_password(client, learner)
    aggregate_stale()
    explaining(client)
    one = explaining(client)
    assert len(one) <= EXPLAIN_BUDGET, report("over the budget", one)
    names = [f"html/many{number}" for number in range(300)]
    publish_course([block("course/course", "vertical/v1"), block("vertical/v1", *names), *map(block, names)])
    complete(learner, *names[:150])
    enroll_many(100, "u")
    aggregate_stale()
    explaining(client)
    many = explaining(client)

    assert len(one) == len(many), report("not the same", one, many)
    complete(learner, names[-1])
    # Why an aggregation has failed, if it has.
    assert len(explaining(client)) == len(one) + 1


# --- bulk -----------------------------------------------------------------------------------------------------------


def asking(client: Client, users: list[int], keys: list[CourseKey]) -> tuple[list[str], list[Any]]:
    with CaptureQueriesContext(connection) as captured:
        body = {"user_ids": users, "course_keys": list(map(str, keys))}
        response = client.post(BULK, body, content_type="application/json")
    assert response.status_code == 200, response.content[:500]
    # Without the thousand ids.
    return [each["sql"][:300] for each in captured.captured_queries], response.json()["results"]


def test_a_thousand_learners_in_a_hundred_courses_cost_what_one_in_one_costs(
    client: Client, learner: Any, staff: Any
) -> None:
    keys = [COURSE_KEY, *(CourseKey.from_string(f"course-v1:Org+Many+{number:03}") for number in range(99))]
    for key_ in keys[1:]:
        publish_course([block("course/course", course_key=key_)], key_)
    ids = [learner.pk, *enroll_many(999, "u")]
    rows = (Enrollment(user_id=pk, course_id=key_) for pk in ids for key_ in keys[1:])
    Enrollment.objects.bulk_create(rows, batch_size=5_000)
    aggregate(COURSE_KEY, ids)
    with_password(client, staff)

    one, (result,) = asking(client, ids[:1], keys[:1])
    many, results = asking(client, ids, keys)

    assert result["completion"] == {"earned": 0.0, "possible": 6.0, "percent": 0.0}
    assert len(results) == 100_000
    assert len(one) == len(many), report("not the same", one, many)
    assert len(many) <= BULK_BUDGET, report("over the budget", many)


# --- refresh --------------------------------------------------------------------------------------------------------


def test_refreshing_costs_the_same_however_many_there_are_and_however_much_was_done(
    client: Client, learner: Any
) -> None:
    with_password(client, learner)

    def refreshing() -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            response = client.post(REFRESH, {"username": "me"}, content_type="application/json")
        assert response.status_code == 200, response.content
        return [each["sql"] for each in captured.captured_queries]

    aggregate_stale()
    # Little enough that no threshold is reached.
    complete(learner, "html/h1", value=0.1)
    refreshing()
    complete(learner, "html/h2", value=0.1)
    one = refreshing()
    enroll_many(100, "u")
    complete(learner, "html/h3", "html/h4", "problem/p1", "video/m1", value=0.1)

    assert len(refreshing()) == len(one)
