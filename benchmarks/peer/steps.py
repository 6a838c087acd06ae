"""What the peer does in each scenario.

It takes learner after learner, so a few of them show what one costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import version

from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey, UsageKey

from benchmarks import rest
from benchmarks.course import (
    COURSE_PAGE,
    LEARNERS,
    LIST,
    LISTER,
    MAIN,
    PAGE,
    PEER_LEARNERS,
    PEER_PUBLISHED_LEARNERS,
    PEER_STORED_LEARNERS,
    PUBLISHED,
    PUBLISHED_LEARNERS,
    READER,
    ROLE_HOLDERS,
    STAFF,
    STATS,
    STATS_LEARNERS,
    Course,
    place_of,
)
from benchmarks.hook import save_again_and_again
from benchmarks.measure import Measure
from benchmarks.peer.lms import platform
from benchmarks.peer.lms.models import CourseAccessRole, CourseEnrollment
from benchmarks.seed import (
    STATS_EARNED,
    STATS_POSSIBLE,
    add_users,
    change_completions,
    complete,
    empty,
    insert_for_learners,
    settle,
)
from benchmarks.size import bytes_per_row
from completion_aggregator import core, models, signals

AGGREGATORS = models.Aggregator._meta.db_table


def rebuild_new(measure: Measure) -> None:
    _add_main()
    empty(models.Aggregator)
    _rebuild(measure, MAIN, PEER_LEARNERS)


def rebuild_changed(measure: Measure) -> None:
    _be_current(measure)
    change_completions(MAIN)
    _rebuild(measure, MAIN, PEER_LEARNERS)


def rebuild_same(measure: Measure) -> None:
    _be_current(measure)
    _rebuild(measure, MAIN, PEER_LEARNERS)


def one_block(measure: Measure) -> None:
    _be_current(measure)
    unit = MAIN.units()[measure.round]
    change_completions(MAIN, unit.children)
    keys = [UsageKey.from_string(key) for key in unit.children]
    users = _users(PEER_LEARNERS)

    def update() -> None:
        for user in users:
            key = keys[(place_of(user.pk) + measure.round) % len(keys)]
            core.update_aggregators(user, _key(MAIN), block_keys={key})

    settle()
    measure.time(update)
    measure.units = PEER_LEARNERS
    measure.answer = rest.percents(rest.detail(MAIN)())


def storage(measure: Measure) -> None:
    _read_fresh(measure, PEER_STORED_LEARNERS)
    measure.value = bytes_per_row(AGGREGATORS)


def hook(measure: Measure) -> None:
    _add_main()
    save_again_and_again(measure)
    empty(models.StaleCompletion)


def detail_fresh(measure: Measure) -> None:
    _read_fresh(measure, READER)
    _ask(measure, rest.detail(MAIN))


def detail_stale(measure: Measure) -> None:
    _read_fresh(measure, READER)
    models.StaleCompletion.objects.create(
        username=User.objects.get(pk=READER).username,
        course_key=_key(MAIN),
        block_key=UsageKey.from_string(MAIN.choice(place_of(READER))[0]),
    )
    _ask(measure, rest.detail(MAIN))
    empty(models.StaleCompletion)


def course_list(measure: Measure) -> None:
    _add_list()
    _ask(measure, rest.courses(LISTER, len(LIST)))


def page_all(measure: Measure) -> None:
    _read_fresh(measure, PAGE)
    _ask(measure, rest.full_page(MAIN, STAFF))


def page_course(measure: Measure) -> None:
    _read_fresh(measure, 1)
    if measure.is_warm_up:
        _copy_rows(COURSE_PAGE)
    _ask(measure, rest.course_page(MAIN, STAFF))


def stats(measure: Measure) -> None:
    _add_stats()
    _ask(measure, rest.stats(STATS, STAFF))


def stats_filtered(measure: Measure) -> None:
    _add_stats()
    _ask(measure, rest.stats(STATS, STAFF, exclude_roles="staff"))


def publish_mark(measure: Measure) -> None:
    platform.publish(next(_add_published()))
    empty(models.StaleCompletion)
    measure.time(lambda: signals.course_published_handler(_key(PUBLISHED)))
    measure.answer = {"learners marked": models.StaleCompletion.objects.values("username").distinct().count()}
    empty(models.StaleCompletion)


def publish_drain(measure: Measure) -> None:
    platform.publish(next(_add_published()))
    _rebuild(measure, PUBLISHED, PEER_PUBLISHED_LEARNERS)


def check(measure: Measure) -> None:
    """Tell which package this is: it has the same name as ours."""
    measure.answer = version("openedx-completion-aggregator")


def _key(course: Course) -> CourseKey:
    return CourseKey.from_string(course.key)


def _users(last: int) -> list[User]:
    return list(User.objects.filter(pk__lte=last).order_by("pk"))


def _enroll(course: Course, first: int, last: int) -> None:
    insert_for_learners(CourseEnrollment, first, last, course_id=course.key, created=timezone.now())


@cache
def _add_main() -> None:
    """All are enrolled, but only those have completions who are computed."""
    add_users(LEARNERS)
    platform.publish(MAIN)
    _enroll(MAIN, 1, LEARNERS)
    complete(MAIN, 1, PAGE)


@cache
def _add_published() -> Iterator[Course]:
    add_users(PUBLISHED_LEARNERS)
    platform.publish(PUBLISHED)
    _enroll(PUBLISHED, 1, PUBLISHED_LEARNERS)
    complete(PUBLISHED, 1, PEER_PUBLISHED_LEARNERS)
    _aggregate(PUBLISHED, PEER_PUBLISHED_LEARNERS)
    # It marks those who have rows.
    _insert_course_rows(PUBLISHED, PEER_PUBLISHED_LEARNERS + 1, PUBLISHED_LEARNERS)
    return (replace(PUBLISHED, added=number) for number in range(1, 1_000))


@cache
def _add_list() -> None:
    add_users(1)
    user = User.objects.get(pk=LISTER)
    for course in LIST:
        platform.publish(course)
        _enroll(course, LISTER, LISTER)
        complete(course, LISTER, LISTER)
        core.update_aggregators(user, _key(course), force=True)


@cache
def _add_stats() -> None:
    add_users(STATS_LEARNERS)
    platform.publish(STATS)
    _enroll(STATS, 1, STATS_LEARNERS)
    CourseAccessRole.objects.bulk_create(
        CourseAccessRole(user_id=user_id, course_id=_key(STATS), org="Bench", role="staff")
        for user_id in range(1, STATS_LEARNERS, STATS_LEARNERS // ROLE_HOLDERS)
    )
    _insert_course_rows(STATS, 1, STATS_LEARNERS)


def _insert_course_rows(course: Course, first: int, last: int) -> None:
    """Give the learners of these ids the row of the course block."""
    now = timezone.now()
    insert_for_learners(
        models.Aggregator,
        first,
        last,
        course_key=course.key,
        block_key=next(course.blocks()).key,
        aggregation_name="course",
        earned=STATS_EARNED,
        possible=STATS_POSSIBLE,
        percent=STATS_EARNED / STATS_POSSIBLE,
        optional_earned=0,
        optional_possible=0,
        optional_percent=1,
        last_modified=now,
        created=now,
        modified=now,
    )


def _copy_rows(last: int) -> None:
    """Give the learners up to this one the rows of the first one; reading does not ask where they come from."""
    columns = [
        column.column
        for column in models.Aggregator._meta.concrete_fields
        if not column.primary_key and column.column != "user_id"
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT IGNORE INTO {AGGREGATORS} (user_id, {', '.join(columns)})"  # noqa: S608
            f" SELECT auth_user.id, {', '.join(f'rows_of_one.{column}' for column in columns)}"
            f" FROM auth_user, {AGGREGATORS} rows_of_one"
            " WHERE rows_of_one.user_id = 1 AND rows_of_one.course_key = %s AND auth_user.id BETWEEN 2 AND %s",
            [MAIN.key, last],
        )


def _aggregate(course: Course, last: int) -> None:
    for user in _users(last):
        core.update_aggregators(user, _key(course), force=True)


def _rebuild(measure: Measure, course: Course, learners: int) -> None:
    users = _users(learners)

    def rebuild() -> None:
        for user in users:
            core.update_aggregators(user, _key(course), force=True)

    settle()
    measure.time(rebuild)
    measure.units = learners
    measure.answer = rest.percents(rest.detail(course)())


def _be_current(measure: Measure) -> None:
    _add_main()
    if measure.is_warm_up:
        empty(models.Aggregator)
        _aggregate(MAIN, PEER_LEARNERS)


def _read_fresh(measure: Measure, last: int) -> None:
    _add_main()
    if measure.is_warm_up:
        empty(models.Aggregator)
        _aggregate(MAIN, last)


def _ask(measure: Measure, ask: Callable[[], bytes]) -> None:
    measure.answer = rest.percents(ask())
    measure.repeat(ask)


STEPS: Mapping[str, Callable[[Measure], None]] = {
    step.__name__: step
    for step in (
        rebuild_new,
        rebuild_changed,
        rebuild_same,
        one_block,
        storage,
        hook,
        detail_fresh,
        detail_stale,
        page_all,
        page_course,
        stats,
        stats_filtered,
        publish_mark,
        publish_drain,
        check,
    )
} | {"list": course_list}
