"""The Python side of the REST API, as other code uses it: adapter, serializers, and a view asked by hand."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import RequestFactory
from opaque_keys.edx.keys import CourseKey
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from completion_aggregator.api.common import CompletionViewMixin, UserEnrollments
from completion_aggregator.api.v1.views import (
    CompletionDetailView,
    CompletionListView,
    CourseLevelCompletionStatsView,
)
from completion_aggregator.engine import Tally
from completion_aggregator.models import Aggregator
from completion_aggregator.selectors import (
    CourseStats,
    Learner,
    get_course_completion,
    get_course_means,
    get_course_stats,
)
from completion_aggregator.selectors.completions import iter_course_completions
from completion_aggregator.serializers import (
    AggregatorAdapter,
    BlockCompletion,
    BlockCompletionSerializer,
    CourseCompletionSerializer,
    CourseCompletionStatsSerializer,
)
from completion_aggregator.services import aggregate_stale
from tests.acceptance.helpers import DETAIL, LIST, STATS, done, nested, result, stored_rows
from tests.factories import COURSE_KEY, EnrollmentFactory, UserFactory, block, complete, key, publish_course, usage_key


@pytest.fixture
def fresh(learner: Any) -> Any:
    """A learner who has done two of six things, all aggregated."""
    complete(learner, "html/h1", "problem/p1")
    aggregate_stale()
    return learner


# --- AggregatorAdapter ----------------------------------------------------------------------------------------------


def test_an_adapter_has_the_values_of_the_course(fresh: Any) -> None:
    adapter = AggregatorAdapter(fresh, COURSE_KEY)

    assert (adapter.user, adapter.course_key) == (fresh, COURSE_KEY)
    assert (adapter.earned, adapter.possible, adapter.percent) == (2.0, 6, 2 / 6)
    assert (adapter.optional_earned, adapter.optional_possible, adapter.optional_percent) == (0.0, 0, 1.0)
    assert (adapter.course.earned, adapter.course.possible, adapter.course.percent) == (2.0, 6, 2 / 6)


def test_an_adapter_has_a_list_for_each_block_type(fresh: Any) -> None:
    adapter = AggregatorAdapter(fresh, COURSE_KEY)

    assert [(each.block_key, each.tally.earned) for each in adapter.chapter] == [
        (key("chapter/c1"), 2.0),
        (key("chapter/c2"), 0.0),
    ]
    assert [each.block_key for each in adapter.sequential] == [key(f"sequential/s{i}") for i in (1, 2, 3)]
    assert [each.block_key for each in adapter.vertical] == [key(f"vertical/v{i}") for i in (1, 2, 3, 4)]


def test_an_adapter_has_no_other_attributes(fresh: Any) -> None:
    adapter = AggregatorAdapter(fresh, COURSE_KEY)

    for name in ("html", "nonsense", "_private", "__len__"):
        with pytest.raises(AttributeError, match=name):
            getattr(adapter, name)
    assert not hasattr(adapter, "nonsense")


def test_an_adapter_tells_what_is_stored_unless_it_is_to_recalculate(fresh: Any) -> None:
    complete(fresh, "html/h2")
    before = stored_rows()

    assert AggregatorAdapter(fresh, COURSE_KEY).earned == 2.0
    assert AggregatorAdapter(fresh, COURSE_KEY, recalculate_stale=False).earned == 2.0
    assert AggregatorAdapter(fresh, COURSE_KEY, recalculate_stale=True).earned == 3.0
    assert stored_rows() == before


def test_an_adapter_of_a_learner_never_aggregated_knows_nothing_or_recalculates(learner: Any) -> None:
    complete(learner, "html/h1")

    adapter = AggregatorAdapter(learner, COURSE_KEY)
    assert (adapter.earned, adapter.possible, adapter.percent) == (0.0, None, 0.0)
    assert (adapter.optional_earned, adapter.optional_possible, adapter.optional_percent) == (0.0, None, 0.0)
    adapter = AggregatorAdapter(learner, COURSE_KEY, recalculate_stale=True)
    assert (adapter.earned, adapter.possible, adapter.percent) == (1.0, 6, 1 / 6)


@pytest.mark.parametrize("root", [usage_key("chapter/c1"), key("chapter/c1")])
@pytest.mark.parametrize("recalculate_stale", [False, True])
def test_an_adapter_with_a_root_block_has_its_values(fresh: Any, root: Any, recalculate_stale: bool) -> None:
    adapter = AggregatorAdapter(fresh, COURSE_KEY, root_block=root, recalculate_stale=recalculate_stale)

    assert (adapter.earned, adapter.possible, adapter.percent) == (2.0, 4, 0.5)
    assert [each.block_key for each in adapter.chapter] == [key("chapter/c1")]
    assert [each.block_key for each in adapter.vertical] == [key(f"vertical/v{i}") for i in (1, 2, 3)]


def test_an_adapter_uses_the_rows_it_is_given(fresh: Any, django_assert_num_queries: Any) -> None:
    rows = list(Aggregator.objects.filter(user=fresh, course_key=COURSE_KEY).order_by("id"))
    with django_assert_num_queries(0):
        adapter = AggregatorAdapter(fresh, COURSE_KEY, aggregators=rows)
        assert (adapter.earned, adapter.possible, adapter.percent) == (2.0, 6, 2 / 6)
        assert (adapter.optional_earned, adapter.optional_possible) == (0.0, 0)
        chapters = {each.block_key: each.tally.percent for each in adapter.chapter}
        assert chapters == {key("chapter/c1"): 0.5, key("chapter/c2"): 0.0}

        rooted = AggregatorAdapter(fresh, COURSE_KEY, aggregators=rows, root_block=key("chapter/c1"))
        assert (rooted.earned, rooted.possible) == (2.0, 4)


def test_rows_can_be_added_to_an_adapter_later(fresh: Any) -> None:
    rows = Aggregator.objects.filter(user=fresh, course_key=COURSE_KEY)
    adapter = AggregatorAdapter(fresh, COURSE_KEY)
    assert len(adapter.chapter) == 2

    adapter.add_aggregator(rows.get(aggregation_name="course"))
    assert (adapter.earned, adapter.chapter) == (2.0, [])
    adapter.update_aggregators(rows.filter(aggregation_name="chapter"))
    assert len(adapter.chapter) == 2


def test_an_adapter_given_rows_without_the_course_knows_nothing_of_it(fresh: Any) -> None:
    adapter = AggregatorAdapter(fresh, COURSE_KEY, aggregators=Aggregator.objects.filter(aggregation_name="chapter"))

    assert (adapter.earned, adapter.possible, adapter.percent) == (0.0, None, 0.0)
    assert len(adapter.chapter) == 2


def test_an_adapter_of_an_old_course_finds_its_root_block(db: None) -> None:
    old = CourseKey.from_string("Org/Course/Run")
    publish_course(
        [
            block("course/Run", "chapter/c1", course_key=old),
            block("chapter/c1", "html/h1", course_key=old),
            block("html/h1", course_key=old),
        ],
        old,
    )
    user = EnrollmentFactory(course_id=old).user
    complete(user, "html/h1", course_key=old)
    aggregate_stale()

    adapter = AggregatorAdapter(user, old, root_block=usage_key("chapter/c1", old))
    assert (adapter.earned, adapter.possible) == (1.0, 1)


# --- serializers ----------------------------------------------------------------------------------------------------


def test_a_course_completion_serializer_takes_an_adapter(fresh: Any, django_assert_num_queries: Any) -> None:
    adapter = AggregatorAdapter(fresh, COURSE_KEY)
    assert adapter.earned == 2.0
    serializer = CourseCompletionSerializer(
        adapter,
        requested_fields={"chapter", "username", "mean"},
        include_optional=True,
        means={COURSE_KEY: 0.25},
    )

    with django_assert_num_queries(0):
        data = serializer.data
    chapters = nested(("chapter/c1", 2.0, 4.0), ("chapter/c2", 0.0, 2.0))
    assert data == result(
        2.0,
        6.0,
        optional_completion=done(0.0, 0.0),
        username="ada",
        mean=0.25,
        chapter=[each | {"optional_completion": done(0.0, 0.0)} for each in chapters],
    )


def test_a_course_completion_serializer_takes_what_the_selectors_answer(fresh: Any) -> None:
    one = get_course_completion(fresh, COURSE_KEY, block_types=["chapter"])
    many = list(iter_course_completions(COURSE_KEY, [Learner(fresh.pk, "ada")], block_types=["chapter"]))

    assert CourseCompletionSerializer(one).data == result(2.0, 6.0)
    chapters = nested(("chapter/c1", 2.0, 4.0), ("chapter/c2", 0.0, 2.0))
    expected = result(2.0, 6.0, chapter=chapters)
    assert CourseCompletionSerializer(one, requested_fields=["chapter"]).data == expected
    assert CourseCompletionSerializer(many, many=True, requested_fields=["chapter"]).data == [expected]


def test_a_block_completion_serializer_renders_the_blocks_of_an_adapter(fresh: Any) -> None:
    blocks = AggregatorAdapter(fresh, COURSE_KEY).chapter

    expected = nested(("chapter/c1", 2.0, 4.0), ("chapter/c2", 0.0, 2.0))
    assert BlockCompletionSerializer(blocks, many=True).data == expected


def test_a_block_completion_serializer_adds_the_optional_completion_when_asked() -> None:
    instance = BlockCompletion(COURSE_KEY, key("chapter/c1"), Tally(1.0, 2, 1.0, 4))

    (expected,) = nested(("chapter/c1", 1.0, 2.0))
    assert BlockCompletionSerializer(instance).data == expected
    expected["optional_completion"] = done(1.0, 4.0)
    assert BlockCompletionSerializer(instance, include_optional=True).data == expected


def test_a_stats_serializer_renders_a_mean() -> None:
    stats = CourseStats(earned=3.4, possible=8.0)

    expected = {
        "course_key": str(COURSE_KEY),
        "mean_completion": {"earned": 3.4, "possible": 8.0, "percent": 3.4 / 8},
    }
    assert CourseCompletionStatsSerializer(stats, course_key=COURSE_KEY).data == expected
    filters = {"cohorts": [1], "exclude_roles": []}
    data = CourseCompletionStatsSerializer(stats, course_key=COURSE_KEY, filters=filters, mean=0.0).data
    assert data == expected | {"filters": filters, "mean": 0.0}


def test_the_selectors_give_what_the_stats_need(fresh: Any) -> None:
    assert get_course_stats(COURSE_KEY) == CourseStats(earned=2.0, possible=6.0)
    assert get_course_means([COURSE_KEY]) == {COURSE_KEY: pytest.approx(2 / 6)}
    assert get_course_means([]) == {}


# --- a view asked by hand -------------------------------------------------------------------------------------------


def detail_view(user: Any, query: dict[str, Any]) -> CompletionDetailView:
    view = CompletionDetailView()
    view.request = Request(RequestFactory().get(DETAIL, query))
    view._effective_user = user
    return view


def test_a_plugin_reads_the_whole_course_page_by_page(fresh: Any, staff: Any) -> None:
    names = ["ada", *(EnrollmentFactory().user.username for _ in range(11))]
    read: list[str] = []
    number = 1
    while number:
        view = detail_view(staff, {"page": number, "page_size": 5, "requested_fields": "chapter,mean"})
        response = view.get(view.request, str(COURSE_KEY))
        assert isinstance(response, Response)
        assert response.data["pagination"]["count"] == 12
        read += [each["username"] for each in response.data["results"]]
        number = number + 1 if response.data["pagination"]["next"] else 0

    assert read == names
    assert number == 0


def test_a_plugin_may_give_the_same_view_one_request_after_the_other(fresh: Any, staff: Any) -> None:
    EnrollmentFactory(user=UserFactory(username="bob"))
    view = detail_view(staff, {"page_size": 1})
    first = view.get(view.request, str(COURSE_KEY)).data
    view.request = Request(RequestFactory().get(DETAIL, {"page_size": 1, "page": 2}))
    second = view.get(view.request, str(COURSE_KEY)).data
    view.request = Request(RequestFactory().get(DETAIL, {"username": "ada", "requested_fields": "username"}))
    third = view.get(view.request, str(COURSE_KEY)).data

    assert [first["results"][0]["username"], second["results"][0]["username"]] == ["ada", "bob"]
    assert first["pagination"]["next"] == f"http://testserver{DETAIL}?page=2&page_size=1"
    assert second["pagination"]["next"] is None
    assert third["results"] == [result(2.0, 6.0, username="ada")]


def test_the_effective_user_of_a_view_decides_who_may_ask(fresh: Any) -> None:
    view = detail_view(fresh, {})
    with pytest.raises(PermissionDenied):
        view.get(view.request, str(COURSE_KEY))
    view = detail_view(fresh, {"username": "ada"})
    assert view.get(view.request, str(COURSE_KEY)).data["results"] == [result(2.0, 6.0)]
    view = detail_view(fresh, {"username": "ada"})
    with pytest.raises(NotFound):
        view.get(view.request, "nonsense")


def test_the_other_views_can_be_asked_by_hand_too(fresh: Any) -> None:
    view = CompletionListView()
    view.request = Request(RequestFactory().get(LIST, {"username": "ada"}))
    view._effective_user = fresh
    assert view.get(view.request).data["results"] == [result(2.0, 6.0)]

    stats = CourseLevelCompletionStatsView()
    stats.request = Request(RequestFactory().get(STATS))
    stats._effective_user = fresh
    (found,) = stats.get(stats.request, str(COURSE_KEY)).data["results"]
    assert found["mean_completion"] == done(2.0, 6.0)


def test_the_views_share_the_mixin_and_the_enrollments(fresh: Any) -> None:
    assert issubclass(CompletionDetailView, CompletionViewMixin)
    mine = UserEnrollments(fresh)
    assert [each.course_id for each in mine.get_enrollments()] == [COURSE_KEY]
    assert mine.get_course_enrollment(COURSE_KEY).user == fresh
    assert UserEnrollments(UserFactory()).get_course_enrollment(COURSE_KEY) is None
    assert [each.user for each in UserEnrollments().get_course_enrollments(COURSE_KEY)] == [fresh]
