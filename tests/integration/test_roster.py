"""A class in order, filtered and paged, against the same worked out in Python."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from completion_aggregator.exceptions import InvalidCursorError
from completion_aggregator.models import Course, CourseAggregate
from completion_aggregator.selectors import (
    ORDERINGS,
    LearnerFilter,
    Progress,
    RosterRow,
    count_roster,
    get_roster_page,
    iter_roster,
)
from completion_aggregator.selectors.roster import select_learner_ids
from completion_aggregator.services import aggregate_stale, mark_learners
from tests.factories import (
    COURSE_KEY,
    CohortFactory,
    EnrollmentFactory,
    MembershipFactory,
    RoleFactory,
    UserFactory,
    complete,
    publish_course,
)

NOW = datetime(2026, 5, 1, tzinfo=UTC)
#: What a learner may have: no aggregate at all, one that is only a lock, or percent and days since the last activity.
STATES: list[Any] = [None, "lock", *[(p, d) for p in (0.0, 0.25, 1 / 3, 1.0) for d in (None, 0, 3, 9)]]


class Person:
    """One learner of the naive class."""

    def __init__(self, user: Any, state: Any) -> None:
        self.user_id, self.username = user.pk, user.username
        self.percent: float | None = None
        self.days: int | None = None
        if state == "lock":
            self.percent = 0.0
        elif state is not None:
            self.percent, self.days = state

    @property
    def activity(self) -> datetime | None:
        return None if self.days is None else NOW - timedelta(days=self.days)

    def key(self, name: str) -> Any:
        values = {"user_id": 0, "username": self.username, "percent": self.percent, "last_activity": self.activity}
        value = values[name]
        return (value is not None, value if value is not None else 0, self.user_id)


def make_class(states: list[Any]) -> list[Person]:
    """Enroll a learner for each of the states; somebody who has left the course has done some of it, too."""
    course, _ = Course.objects.get_or_create(course_key=str(COURSE_KEY))
    people = []
    # User names are in another order than ids.
    for place, state in enumerate([*states, (0.5, 1)]):
        user = UserFactory(username=f"user{place * 7 % 10}{place:03}", first_name="Odd" if place % 2 else "Even")
        is_active = place < len(states)
        EnrollmentFactory(user=user, is_active=is_active)
        person = Person(user, state)
        if state is not None:
            CourseAggregate.objects.create(
                course=course,
                user=user,
                percent=person.percent,
                last_modified=person.activity,
                computed_at=None if state == "lock" else NOW,
            )
        if is_active:
            people.append(person)
    return people


def in_order(people: list[Person], ordering: str) -> list[int]:
    key, is_descending = ordering.removeprefix("-"), ordering.startswith("-")
    return [each.user_id for each in sorted(people, key=lambda each: each.key(key), reverse=is_descending)]


def walk(filters: LearnerFilter, ordering: str, size: int) -> list[list[int]]:
    """Follow the cursors to the end, and back: both ways give the same pages."""
    pages = [get_roster_page(COURSE_KEY, filters, ordering=ordering, size=size)]
    while pages[-1].next is not None:
        pages.append(get_roster_page(COURSE_KEY, filters, ordering=ordering, size=size, cursor=pages[-1].next))
    assert pages[0].previous is None
    back = [pages[-1]]
    while back[-1].previous is not None:
        back.append(get_roster_page(COURSE_KEY, filters, ordering=ordering, size=size, cursor=back[-1].previous))
    assert [page.rows for page in reversed(back)] == [page.rows for page in pages]
    return [[row.learner.user_id for row in page.rows] for page in pages]


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_walk_pages_and_batches_are_in_the_same_order(db: None, ordering: str) -> None:
    @settings(max_examples=8)
    @given(st.lists(st.sampled_from(STATES), max_size=12), st.integers(1, 5))
    def run(states: list[Any], size: int) -> None:
        CourseAggregate.objects.all().delete()
        EnrollmentFactory._meta.model.objects.all().delete()
        UserFactory._meta.model.objects.all().delete()
        people = make_class(states)
        expected = in_order(people, ordering)

        pages = walk(LearnerFilter(), ordering, size)
        assert [user_id for page in pages for user_id in page] == expected
        assert {len(page) for page in pages[:-1]} <= {size}
        assert [row.user_id for row in select_learner_ids(COURSE_KEY, ordering=ordering)] == expected
        batches = list(iter_roster(COURSE_KEY, ordering=ordering, batch_size=size))
        assert [row.learner.user_id for batch in batches for row in batch] == expected
        assert all(batches)

    run()


def percent(person: Person) -> float:
    return person.percent or 0.0


#: Filters, and to whom they apply.
FILTERS: list[tuple[LearnerFilter, Any]] = [
    (LearnerFilter(), lambda each: True),
    (LearnerFilter(percent_min=0.0), lambda each: True),
    (LearnerFilter(percent_min=0.25), lambda each: percent(each) >= 0.25),
    (LearnerFilter(percent_max=0.25), lambda each: percent(each) <= 0.25),
    (LearnerFilter(percent_max=0.0), lambda each: percent(each) == 0),
    (LearnerFilter(percent_min=0.2, percent_max=0.5), lambda each: 0.2 <= percent(each) <= 0.5),
    (LearnerFilter(percent_min=0.5, percent_max=0.2), lambda each: False),
    (LearnerFilter(status=Progress.NOT_STARTED), lambda each: percent(each) == 0),
    (LearnerFilter(status=Progress.IN_PROGRESS), lambda each: 0 < percent(each) < 1),
    (LearnerFilter(status=Progress.COMPLETED), lambda each: percent(each) == 1),
    (LearnerFilter(inactive_since=NOW - timedelta(days=5)), lambda each: each.days in (None, 9)),
    (
        LearnerFilter(inactive_since=NOW, percent_max=0.3, status=Progress.IN_PROGRESS),
        lambda each: each.days != 0 and percent(each) == 0.25,
    ),
    (LearnerFilter(search="USER0"), lambda each: each.username.startswith("user0")),
    (LearnerFilter(search="odd"), lambda each: int(each.username[-3:]) % 2),
    (LearnerFilter(search="nobody"), lambda each: False),
    (LearnerFilter(search="%"), lambda each: False),
]


@pytest.mark.parametrize(("filters", "applies"), FILTERS)
@pytest.mark.parametrize("ordering", ["user_id", "-percent", "last_activity", "username"])
def test_filters_leave_those_to_whom_they_apply(db: None, filters: LearnerFilter, applies: Any, ordering: str) -> None:
    people = make_class(STATES)
    expected = in_order([each for each in people if applies(each)], ordering)

    assert [user_id for page in walk(filters, ordering, 4) for user_id in page] == expected
    assert [row.user_id for row in select_learner_ids(COURSE_KEY, filters, ordering=ordering)] == expected
    assert count_roster(COURSE_KEY, filters) == len(expected)


def test_ids_cohorts_and_roles_narrow_down(db: None) -> None:
    people = [each.user_id for each in make_class(STATES[:6])]
    red, blue = CohortFactory(), CohortFactory()
    users = {user.pk: user for user in UserFactory._meta.model.objects.all()}
    MembershipFactory(user=users[people[0]], cohort=red)
    MembershipFactory(user=users[people[1]], cohort=blue)
    RoleFactory(user=users[people[1]], role="beta_testers")
    RoleFactory(user=users[people[2]], role="staff")

    def found(**filters: Any) -> list[int]:
        page = get_roster_page(COURSE_KEY, LearnerFilter(**filters), ordering="percent")
        assert count_roster(COURSE_KEY, LearnerFilter(**filters)) == len(page.rows)
        return sorted(row.learner.user_id for row in page.rows)

    assert found(user_ids=[people[3], people[4], 10**9, 10**30, -1]) == people[3:5]
    assert found(user_ids=[]) == []
    assert found(cohort_ids=[red.pk]) == people[:1]
    assert found(cohort_ids=[red.pk, blue.pk]) == people[:2]
    assert found(roles=["staff"]) == people[2:3]
    assert found(roles=["staff", "beta_testers"]) == people[1:3]
    assert found(exclude_roles=["staff", "beta_testers"]) == [people[0], *people[3:]]
    assert found(cohort_ids=[red.pk, blue.pk], exclude_roles=["beta_testers"]) == people[:1]


def test_a_row_tells_what_is_stored_and_whether_it_holds(learner: Any) -> None:
    complete(learner, "html/h1", "problem/p1")
    never = EnrollmentFactory(user=UserFactory(username="zoe")).user
    aggregate_stale()
    CourseAggregate.objects.filter(user=never).delete()
    stored = CourseAggregate.objects.get(user=learner)

    def rows() -> list[tuple[Any, ...]]:
        return [
            (row.learner, row.tally[:2], row.tally.last_modified, row.computed_at, row.completed_at, row.is_stale)
            for row in get_roster_page(COURSE_KEY).rows
        ]

    expected = [
        ((learner.pk, "ada"), (2.0, 6), stored.last_modified, stored.computed_at, None, False),
        ((never.pk, "zoe"), (0.0, None), None, None, None, True),
    ]
    assert rows() == expected
    mark_learners(COURSE_KEY, [learner.pk])
    assert [row[-1] for row in rows()] == [True, True]
    complete(learner, "html/h2", "html/h3", "html/h4", "video/m1")
    aggregate_stale()
    (first, _) = rows()
    assert (first[1], first[-1]) == ((6.0, 6), False)
    assert first[4] == CourseAggregate.objects.get(user=learner).completed_at is not None
    # Published anew, and nobody was told.
    course = publish_course()
    type(course).objects.update(version="another")
    assert [row[-1] for row in rows()] == [True, True]


def test_a_walk_goes_on_while_others_come_and_go(db: None) -> None:
    people = make_class([(0.25, 1)] * 6)
    first = get_roster_page(COURSE_KEY, ordering="-percent", size=2)
    gone = first.rows[-1].learner.user_id
    EnrollmentFactory._meta.model.objects.filter(user_id=gone).update(is_active=False)

    rest = get_roster_page(COURSE_KEY, ordering="-percent", size=9, cursor=first.next).rows
    met = [row.learner.user_id for row in [*first.rows, *rest]]
    assert met == in_order(people, "-percent")


def test_a_cursor_belongs_to_its_ordering(db: None) -> None:
    make_class([(0.25, 1)] * 3)
    cursor = get_roster_page(COURSE_KEY, ordering="percent", size=1).next
    for ordering in set(ORDERINGS) - {"percent"}:
        with pytest.raises(InvalidCursorError):
            get_roster_page(COURSE_KEY, ordering=ordering, cursor=cursor)


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_a_page_takes_the_same_queries_however_many_there_are(db: None, ordering: str) -> None:
    def queries(size: int) -> int:
        with CaptureQueriesContext(connection) as captured:
            rows: list[RosterRow] = get_roster_page(COURSE_KEY, ordering=ordering, size=size).rows
        assert len(rows) == size
        assert not any("OFFSET" in query["sql"] or "COUNT(" in query["sql"] for query in captured)
        return len(captured)

    make_class([(0.25, 1)] * 30)
    publish_course()
    # One more where those without a value come first.
    assert queries(1) == queries(29) == (5 if ordering in ("percent", "last_activity") else 4)
