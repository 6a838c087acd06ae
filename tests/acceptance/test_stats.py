"""GET stats/<course_key>/, over HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.models import CourseAggregate
from completion_aggregator.services import aggregate_stale
from sample_lms.models import Cohort, Course, Enrollment
from tests.acceptance.helpers import DETAIL, OTHER_KEY, ROOT, STATS, ask, checked
from tests.factories import (
    COURSE_KEY,
    CohortFactory,
    EnrollmentFactory,
    MembershipFactory,
    RoleFactory,
    UserFactory,
    block,
    complete,
    publish_course,
    small_course,
)

OLD_KEY = CourseKey.from_string("Org/Course/Run")
ALL_SIX = ("html/h1", "html/h2", "problem/p1", "html/h3", "html/h4", "video/m1")


def mean(earned: float, possible: float, course_key: CourseKey = COURSE_KEY, **fields: Any) -> dict[str, Any]:
    percent = earned / possible if possible else 0.0
    values = {"earned": earned, "possible": possible, "percent": percent}
    return {"results": [{"course_key": str(course_key), "mean_completion": values, **fields}]}


def enroll(name: str, done: int = 0, course_key: CourseKey = COURSE_KEY) -> Any:
    """Enroll a new user who has done so many of the six things."""
    user = EnrollmentFactory(user=UserFactory(username=name), course_id=course_key).user
    complete(user, *ALL_SIX[:done], course_key=course_key)
    return user


@pytest.fixture
def four(course: Any) -> dict[str, Any]:
    """Four learners who have done 6, 3, 1 and 0 of six things, all aggregated."""
    users = {name: enroll(name, done) for name, done in (("ada", 6), ("bob", 3), ("eve", 1), ("zoe", 0))}
    aggregate_stale()
    return users


def read_mean(user: Any) -> float:
    (result,) = ask(user, STATS, {"requested_fields": "mean"})["results"]
    assert ask(user, DETAIL, {"requested_fields": "mean"})["results"][0]["mean"] == result["mean"]
    return float(result["mean"])


# --- the mean of the course -----------------------------------------------------------------------------------------


def test_earned_and_possible_are_means_of_what_is_stored(four: dict[str, Any], staff: Any) -> None:
    assert ask(staff, STATS) == mean(10 / 4, 6.0)
    assert ask(four["zoe"], STATS) == mean(10 / 4, 6.0)


def test_learners_never_aggregated_have_earned_nothing_and_say_nothing_of_possible(
    four: dict[str, Any], staff: Any
) -> None:
    enroll("new", 6)

    assert ask(staff, STATS) == mean(10 / 5, 6.0)


def test_possible_is_a_mean_where_learners_see_different_parts(staff: Any) -> None:
    publish_course(
        [
            block("course/course", "html/h1", "html/h2"),
            block("html/h1"),
            block("html/h2", cohorts=("Owls",)),
        ],
        cohorts=["Owls"],
    )
    owl, ada = enroll("owl"), enroll("ada")
    MembershipFactory(user=owl, cohort=Cohort.objects.get(name="Owls"))
    complete(owl, "html/h1")
    complete(ada, "html/h1")
    aggregate_stale()

    assert ask(staff, STATS) == mean(1.0, 1.5)


def test_unenrolled_learners_do_not_count(four: dict[str, Any], staff: Any) -> None:
    Enrollment.objects.filter(user=four["ada"]).update(is_active=False)
    Enrollment.objects.filter(user=four["zoe"]).delete()

    assert ask(staff, STATS) == mean(4 / 2, 6.0)


def test_aggregates_of_other_courses_do_not_count(four: dict[str, Any], staff: Any) -> None:
    publish_course(small_course(OTHER_KEY), OTHER_KEY)
    EnrollmentFactory(user=four["zoe"], course_id=OTHER_KEY)
    complete(four["zoe"], *ALL_SIX, course_key=OTHER_KEY)
    aggregate_stale()

    assert ask(staff, STATS) == mean(10 / 4, 6.0)


def test_nobody_enrolled_gives_zeros(course: Any, staff: Any) -> None:
    assert ask(staff, STATS, {"requested_fields": "mean"}) == mean(0.0, 0.0, mean=0.0)


def test_nobody_aggregated_gives_zeros(learner: Any, staff: Any) -> None:
    complete(learner, "html/h1")

    assert ask(staff, STATS, {"requested_fields": "mean"}) == mean(0.0, 0.0, mean=0.0)


def test_a_course_without_anything_to_do_gives_zeros(learner: Any, staff: Any) -> None:
    publish_course([block("course/course")])
    aggregate_stale()

    assert ask(staff, STATS) == mean(0.0, 0.0)


def test_an_unknown_course_gives_zeros(db: None, staff: Any) -> None:
    unknown = CourseKey.from_string("course-v1:No+Such+Course")

    assert ask(staff, f"{ROOT}stats/{unknown}/", {"requested_fields": "mean"}) == mean(0.0, 0.0, unknown, mean=0.0)


def test_a_course_deleted_in_the_lms_keeps_its_stats(four: dict[str, Any], staff: Any) -> None:
    Course.objects.all().delete()

    assert ask(staff, STATS) == mean(10 / 4, 6.0)


@pytest.mark.parametrize("text", ["abc", "course-v1:Org+Course", "library-v1:Org+Lib"])
def test_an_invalid_course_key_is_not_found(staff: Any, text: str) -> None:
    ask(staff, f"{ROOT}stats/{text}/", status=404)


@pytest.mark.parametrize("course_key", [COURSE_KEY, OLD_KEY])
@pytest.mark.parametrize("form", ["{}", "{}/", "quoted", "quoted/"])
def test_both_forms_of_course_key_work_encoded_or_not(staff: Any, course_key: CourseKey, form: str) -> None:
    publish_course(small_course(course_key), course_key)
    enroll("ada", 3, course_key)
    aggregate_stale()

    url = ROOT + "stats/" + form.format(course_key).replace("quoted", quote(str(course_key), safe=""))
    assert ask(staff, url, {"requested_fields": "mean"}) == mean(3.0, 6.0, course_key, mean=0.5)


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_stats_can_only_be_read(client: Any, staff: Any, method: str) -> None:
    client.force_login(staff)

    checked(getattr(client, method)(STATS), 405)


# --- cohorts --------------------------------------------------------------------------------------------------------


@pytest.fixture
def cohorts(four: dict[str, Any]) -> dict[str, int]:
    """Ids of the cohorts: owls (ada, bob), larks (eve), empty; zoe is in none."""
    Course.objects.update(cohorted=True)
    made = {name: CohortFactory(name=name) for name in ("owls", "larks", "empty")}
    for name, cohort in (("ada", "owls"), ("bob", "owls"), ("eve", "larks")):
        MembershipFactory(user=four[name], cohort=made[cohort])
    aggregate_stale()
    return {name: cohort.pk for name, cohort in made.items()}


def test_only_members_of_the_cohorts_count(cohorts: dict[str, int], staff: Any) -> None:
    owls, larks = cohorts["owls"], cohorts["larks"]

    filters = {"cohorts": [owls], "exclude_roles": []}
    assert ask(staff, STATS, {"cohorts": owls}) == mean(9 / 2, 6.0, filters=filters)
    filters = {"cohorts": [larks], "exclude_roles": []}
    assert ask(staff, STATS, {"cohorts": larks}) == mean(1.0, 6.0, filters=filters)
    filters = {"cohorts": sorted([owls, larks]), "exclude_roles": []}
    assert ask(staff, STATS, {"cohorts": f"{larks}, {owls}"}) == mean(10 / 3, 6.0, filters=filters)


def test_a_cohort_without_members_gives_zeros(cohorts: dict[str, int], staff: Any) -> None:
    filters = {"cohorts": [cohorts["empty"]], "exclude_roles": []}
    assert ask(staff, STATS, {"cohorts": cohorts["empty"]}) == mean(0.0, 0.0, filters=filters)


def test_members_who_are_not_enrolled_do_not_count(four: dict[str, Any], cohorts: dict[str, int], staff: Any) -> None:
    Enrollment.objects.filter(user=four["bob"]).update(is_active=False)
    MembershipFactory(user=UserFactory(), cohort_id=cohorts["owls"], cohort=None, course_id=COURSE_KEY)

    (result,) = ask(staff, STATS, {"cohorts": cohorts["owls"]})["results"]
    assert result["mean_completion"] == {"earned": 6.0, "possible": 6.0, "percent": 1.0}


def test_without_a_cohort_everybody_counts(cohorts: dict[str, int], staff: Any) -> None:
    assert ask(staff, STATS, {"cohorts": ""}) == mean(10 / 4, 6.0)


@pytest.mark.parametrize(
    "text", ["abc", "1.5", "{owls},abc", "{owls},", "0", "-1", "999999", "{owls},999999", "{owls},10000000000000000000"]
)
def test_what_is_no_cohort_of_the_course_is_refused(cohorts: dict[str, int], staff: Any, text: str) -> None:
    ask(staff, STATS, {"cohorts": text.format(owls=cohorts["owls"])}, status=400)


def test_a_cohort_of_another_course_is_refused(cohorts: dict[str, int], staff: Any) -> None:
    ask(staff, STATS, {"cohorts": CohortFactory(course_id=OTHER_KEY).pk}, status=400)


def test_a_course_that_is_cohorted_but_has_no_cohorts_refuses_any(four: dict[str, Any], staff: Any) -> None:
    Course.objects.update(cohorted=True)

    ask(staff, STATS, {"cohorts": "1"}, status=400)


@pytest.mark.parametrize("text", ["{owls}", "999999"])
def test_in_a_course_that_is_not_cohorted_cohorts_have_no_effect(
    cohorts: dict[str, int], staff: Any, text: str
) -> None:
    Course.objects.update(cohorted=False)

    filters = {"cohorts": None, "exclude_roles": []}
    query = {"cohorts": text.format(owls=cohorts["owls"])}
    assert ask(staff, STATS, query) == mean(10 / 4, 6.0, filters=filters)
    ask(staff, STATS, {"cohorts": "abc"}, status=400)


# --- roles ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["staff", "instructor", "beta_testers", "data_researcher"])
def test_learners_who_hold_an_excluded_role_in_the_course_do_not_count(
    four: dict[str, Any], staff: Any, role: str
) -> None:
    RoleFactory(user=four["ada"], role=role)
    RoleFactory(user=four["bob"], role="something_else")
    aggregate_stale()

    filters = {"cohorts": None, "exclude_roles": [role]}
    assert ask(staff, STATS, {"exclude_roles": role}) == mean(4 / 3, 6.0, filters=filters)


def test_beta_is_short_for_beta_testers(four: dict[str, Any], staff: Any) -> None:
    RoleFactory(user=four["ada"], role="beta_testers")

    filters = {"cohorts": None, "exclude_roles": ["beta_testers"]}
    assert ask(staff, STATS, {"exclude_roles": "beta"}) == mean(4 / 3, 6.0, filters=filters)


def test_several_roles_can_be_excluded(four: dict[str, Any], staff: Any) -> None:
    RoleFactory(user=four["ada"], role="beta_testers")
    RoleFactory(user=four["bob"], role="staff")
    aggregate_stale()

    filters = {"cohorts": None, "exclude_roles": ["beta_testers", "staff"]}
    assert ask(staff, STATS, {"exclude_roles": "beta, staff"}) == mean(1 / 2, 6.0, filters=filters)


def test_a_role_in_another_course_or_org_excludes_nobody(four: dict[str, Any], staff: Any) -> None:
    RoleFactory(user=four["ada"], course_id=OTHER_KEY)
    RoleFactory(user=four["bob"], org="Elsewhere", course_id=None)

    filters = {"cohorts": None, "exclude_roles": ["staff"]}
    assert ask(staff, STATS, {"exclude_roles": "staff"}) == mean(10 / 4, 6.0, filters=filters)


def test_a_role_for_the_whole_org_excludes(four: dict[str, Any], staff: Any) -> None:
    RoleFactory(user=four["ada"], org="Org", course_id=None)
    aggregate_stale()

    filters = {"cohorts": None, "exclude_roles": ["staff"]}
    assert ask(staff, STATS, {"exclude_roles": "staff"}) == mean(4 / 3, 6.0, filters=filters)


@pytest.mark.parametrize("text", ["", ",", " "])
def test_an_empty_exclude_roles_excludes_nobody(four: dict[str, Any], staff: Any, text: str) -> None:
    RoleFactory(user=four["ada"])

    assert ask(staff, STATS, {"exclude_roles": text}) == mean(10 / 4, 6.0)
    assert ask(staff, STATS) == mean(10 / 4, 6.0)


def test_an_unknown_role_excludes_nobody(four: dict[str, Any], staff: Any) -> None:
    filters = {"cohorts": None, "exclude_roles": ["wizard"]}
    assert ask(staff, STATS, {"exclude_roles": "wizard"}) == mean(10 / 4, 6.0, filters=filters)


def test_both_filters_work_together(four: dict[str, Any], cohorts: dict[str, int], staff: Any) -> None:
    RoleFactory(user=four["ada"], role="beta_testers")

    filters = {"cohorts": [cohorts["owls"]], "exclude_roles": ["beta_testers"]}
    query = {"cohorts": cohorts["owls"], "exclude_roles": "beta"}
    assert ask(staff, STATS, query) == mean(3.0, 6.0, filters=filters)


# --- requested fields and `mean` ------------------------------------------------------------------------------------


def test_mean_is_the_mean_percent_of_the_counted_learners(four: dict[str, Any], staff: Any) -> None:
    answer = ask(staff, STATS, {"requested_fields": "mean,username"})

    assert answer == mean(10 / 4, 6.0, mean=pytest.approx(10 / 4 / 6))
    assert ask(staff, STATS, {"requested_fields": "username"}) == mean(10 / 4, 6.0)


@pytest.mark.parametrize("field", ["course", "chapter", "sequential", "vertical", "nonsense"])
def test_block_types_are_refused(four: dict[str, Any], staff: Any, field: str) -> None:
    assert field in ask(staff, STATS, {"requested_fields": f"mean,{field}"}, status=400)["detail"]


def test_mean_leaves_out_whoever_has_a_role_in_the_course(four: dict[str, Any], staff: Any) -> None:
    RoleFactory(user=four["ada"], role="beta_testers")
    RoleFactory(user=four["bob"], org="Org", course_id=None, role="whatever")
    RoleFactory(user=four["eve"], course_id=OTHER_KEY)
    aggregate_stale()

    assert read_mean(staff) == pytest.approx(1 / 6 / 2)


def test_mean_counts_learners_never_aggregated_as_zero(four: dict[str, Any], staff: Any) -> None:
    enroll("new", 6)

    assert read_mean(staff) == pytest.approx(10 / 6 / 5)


def test_mean_is_never_above_one_when_learners_leave(
    four: dict[str, Any], staff: Any, django_capture_on_commit_callbacks: Any
) -> None:
    for user in four.values():
        complete(user, *ALL_SIX)
    aggregate_stale()
    assert read_mean(staff) == 1.0

    with django_capture_on_commit_callbacks(execute=True):
        for user in list(four.values())[:3]:
            Enrollment.objects.get(user=user).delete()
    assert read_mean(staff) == 1.0


def test_mean_of_a_course_in_which_everybody_has_a_role_is_zero(four: dict[str, Any], staff: Any) -> None:
    for user in four.values():
        RoleFactory(user=user)

    assert read_mean(staff) == 0.0


def test_mean_is_kept_until_something_is_aggregated(
    four: dict[str, Any], staff: Any, django_capture_on_commit_callbacks: Any
) -> None:
    before = read_mean(staff)
    CourseAggregate.objects.filter(user=four["zoe"]).update(percent=1.0)
    assert read_mean(staff) == before, "it comes from the cache"

    complete(four["bob"], *ALL_SIX)
    assert read_mean(staff) == before
    with django_capture_on_commit_callbacks(execute=True):
        aggregate_stale()
    assert read_mean(staff) == pytest.approx((1 + 1 + 1 / 6 + 1) / 4)


def test_mean_is_read_anew_when_a_learner_has_left(
    four: dict[str, Any], staff: Any, django_capture_on_commit_callbacks: Any
) -> None:
    assert read_mean(staff) == pytest.approx(10 / 6 / 4)
    enrollment = Enrollment.objects.get(user=four["zoe"])
    enrollment.is_active = False
    with django_capture_on_commit_callbacks(execute=True):
        enrollment.save()

    assert read_mean(staff) == pytest.approx(10 / 6 / 3)


def test_mean_has_nothing_to_do_with_the_filters(cohorts: dict[str, int], staff: Any) -> None:
    query = {"requested_fields": "mean", "cohorts": cohorts["owls"]}

    assert ask(staff, STATS, query)["results"][0]["mean"] == pytest.approx(10 / 6 / 4)


def test_paging_parameters_mean_nothing_here(four: dict[str, Any], staff: Any) -> None:
    query = {"page": "9", "page_size": "abc", "username": "nobody", "root_block": "abc", "user_ids": "abc"}

    assert ask(staff, STATS, query) == mean(10 / 4, 6.0)
