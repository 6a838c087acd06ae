"""What this package does in each scenario."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import django
from django.db import connection, transaction

from benchmarks import rest
from benchmarks.course import (
    COURSE_PAGE,
    LEARNERS,
    LIST,
    LISTER,
    MAIN,
    PAGE,
    PUBLISHED,
    PUBLISHED_LEARNERS,
    READER,
    STAFF,
    STATS,
    place_of,
)
from benchmarks.hook import save_again_and_again
from benchmarks.measure import Measure
from benchmarks.ours import data
from benchmarks.seed import change_completions, settle
from benchmarks.size import bytes_per_row
from completion_aggregator import services
from completion_aggregator.models import BlockAggregate

MAIN_KEY = data.key_of(MAIN)
PUBLISHED_KEY = data.key_of(PUBLISHED)


def rebuild_new(measure: Measure) -> None:
    data.add_main()
    data.forget_aggregates()
    services.mark_course(MAIN_KEY)
    _aggregate_all(measure, LEARNERS)
    measure.answer = rest.percents(rest.detail(MAIN)())


def rebuild_changed(measure: Measure) -> None:
    _be_current(measure)
    change_completions(MAIN)
    data.forget_markers()
    services.mark_course(MAIN_KEY)
    _aggregate_all(measure, LEARNERS)
    measure.answer = rest.percents(rest.detail(MAIN)())


def rebuild_same(measure: Measure) -> None:
    _be_current(measure)
    data.forget_markers()
    services.mark_course(MAIN_KEY)
    _aggregate_all(measure, LEARNERS)
    measure.answer = rest.percents(rest.detail(MAIN)())


def one_block(measure: Measure) -> None:
    _be_current(measure)
    unit = MAIN.units()[measure.round]
    change_completions(MAIN, unit.children)
    data.forget_markers()
    with transaction.atomic():
        for learner in range(1, LEARNERS + 1):
            services.mark_completion(learner, MAIN_KEY, MAIN.choice(place_of(learner))[measure.round])
    _aggregate_all(measure, LEARNERS)
    measure.answer = rest.percents(rest.detail(MAIN)())


def storage(measure: Measure) -> None:
    data.add_main()
    data.forget_aggregates()
    services.mark_course(MAIN_KEY)
    _drain()
    measure.value = bytes_per_row(BlockAggregate._meta.db_table)


def hook(measure: Measure) -> None:
    data.add_main()
    save_again_and_again(measure)
    data.forget_markers()


def detail_fresh(measure: Measure) -> None:
    _read_fresh(READER)
    _ask(measure, rest.detail(MAIN))


def detail_stale(measure: Measure) -> None:
    _read_fresh(READER)
    services.mark_completion(READER, MAIN_KEY, MAIN.choice(place_of(READER))[0])
    _ask(measure, rest.detail(MAIN))
    data.forget_markers()


def course_list(measure: Measure) -> None:
    data.add_list()
    data.forget_markers()
    _ask(measure, rest.courses(LISTER, len(LIST)))


def page_all(measure: Measure) -> None:
    _read_fresh(PAGE)
    _ask(measure, rest.full_page(MAIN, STAFF))


def page_course(measure: Measure) -> None:
    _read_fresh(COURSE_PAGE)
    _ask(measure, rest.course_page(MAIN, STAFF))


def stats(measure: Measure) -> None:
    data.add_stats()
    _ask(measure, rest.stats(STATS, STAFF))


def stats_filtered(measure: Measure) -> None:
    data.add_stats()
    _ask(measure, rest.stats(STATS, STAFF, exclude_roles="staff"))


def publish_mark(measure: Measure) -> None:
    data.publish_course(next(data.add_published()))
    # The sample LMS has marked them already.
    data.forget_markers()
    measure.rows = measure.time(lambda: services.mark_course(PUBLISHED_KEY))
    measure.answer = {"learners marked": measure.rows}


def publish_drain(measure: Measure) -> None:
    versions = data.add_published()
    if measure.is_warm_up:
        services.mark_course(PUBLISHED_KEY)
        _drain()
    data.publish_course(next(versions))
    _aggregate_all(measure, PUBLISHED_LEARNERS)
    measure.answer = rest.percents(rest.detail(PUBLISHED)())


def environment(measure: Measure) -> None:
    """Tell the versions that the figures belong to."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT sqlite_version()" if connection.vendor == "sqlite" else "SELECT version()")
        measure.answer = {"django": django.get_version(), "database": f"{connection.vendor} {cursor.fetchone()[0]}"}
        if connection.vendor == "mysql":
            cursor.execute("SELECT @@innodb_buffer_pool_size, @@innodb_flush_log_at_trx_commit")
            size, flush = cursor.fetchone()
            measure.answer |= {"innodb_buffer_pool_mb": size >> 20, "innodb_flush_log_at_trx_commit": flush}


def _aggregate_all(measure: Measure, learners: int) -> None:
    settle()
    report = measure.time(_drain)
    if report.learners < learners:
        raise RuntimeError(f"not everybody was aggregated: {report}")
    measure.units = learners
    measure.rows = report.written


def _drain() -> services.Report:
    """Aggregate until nobody is stale: the first to meet a new version of a course marks everybody in it again."""
    report = services.aggregate_stale()
    while services.count_stale():
        report += services.aggregate_stale()
    return report


def _be_current(measure: Measure) -> None:
    """Begin the first round with everybody aggregated; the later ones find what the one before has left."""
    data.add_main()
    if measure.is_warm_up:
        services.mark_course(MAIN_KEY)
        _drain()


def _read_fresh(last: int) -> None:
    """Aggregate the learners up to this one: reading finds them fresh."""
    data.add_main()
    services.aggregate(MAIN_KEY, range(1, last + 1))
    data.forget_markers()


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
        environment,
    )
} | {"list": course_list}
