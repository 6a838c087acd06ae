from __future__ import annotations

import random
from typing import Any

from django.http import Http404
from edx_django_utils.cache import RequestCache
from openedx.core.djangoapps.course_groups.models import CohortMembership, CourseCohortsSettings, CourseUserGroup
from openedx.core.djangoapps.course_groups.signals.signals import COHORT_MEMBERSHIP_UPDATED
from xmodule.modulestore.django import modulestore

COHORT_CACHE_NAMESPACE = "cohorts.get_cohort"


def _key(user_id: int, course_key: Any) -> str:
    return f"{user_id}.{course_key}"


def is_course_cohorted(course_key: Any) -> bool:
    cache = RequestCache("cohorts.settings")
    cached = cache.get_cached_response(str(course_key))
    if cached.is_found:
        return cached.value
    settings = CourseCohortsSettings.objects.filter(course_id=course_key).first()
    if settings is None:
        if modulestore().get_course(course_key) is None:
            raise Http404
        settings, _ = CourseCohortsSettings.objects.get_or_create(course_id=course_key)
    cache.set(str(course_key), settings.is_cohorted)
    return settings.is_cohorted


def set_course_cohorted(course_key: Any, cohorted: bool) -> None:
    CourseCohortsSettings.objects.update_or_create(course_id=course_key, defaults={"is_cohorted": cohorted})


def get_course_cohorts(course: Any = None, course_id: Any = None, assignment_type: str | None = None) -> Any:
    found = CourseUserGroup.objects.filter(course_id=course_id or course.id, group_type=CourseUserGroup.COHORT)
    return found.filter(cohort__assignment_type=assignment_type) if assignment_type else found


def bulk_cache_cohorts(course_key: Any, users: Any) -> None:
    """Remember the cohort of each of the users, or that there is none, for `get_cohort`."""
    cache = RequestCache(COHORT_CACHE_NAMESPACE)
    cache.clear()
    cohorts: dict[int, Any] = {}
    if is_course_cohorted(course_key):
        memberships = CohortMembership.objects.filter(user__in=users, course_id=course_key)
        cohorts = {each.user_id: each.course_user_group for each in memberships.select_related("course_user_group")}
    for user in users:
        cache.set(_key(user.id, course_key), cohorts.get(user.id))


def get_cohort(user: Any, course_key: Any, assign: bool = True, use_cached: bool = False) -> Any:
    """Return the learner's cohort; one who has none is assigned to a random one, in a course that is cohorted."""
    if user is None or user.is_anonymous:
        return None
    cache = RequestCache(COHORT_CACHE_NAMESPACE)
    if use_cached:
        cached = cache.get_cached_response(_key(user.id, course_key))
        if cached.is_found:
            return cached.value
    cache.delete(_key(user.id, course_key))
    if not is_course_cohorted(course_key):
        return None
    membership = CohortMembership.objects.filter(user_id=user.id, course_id=course_key).first()
    if membership is not None:
        cohort = membership.course_user_group
    elif assign:
        cohort = _assign(user, course_key)
    else:
        return None
    cache.set(_key(user.id, course_key), cohort)
    return cohort


def _assign(user: Any, course_key: Any) -> Any:
    cohorts = list(get_course_cohorts(course_id=course_key, assignment_type="random"))
    cohort = random.choice(cohorts) if cohorts else _default_cohort(course_key)
    add_user_to_cohort(cohort, user)
    return cohort


def _default_cohort(course_key: Any) -> Any:
    return CourseUserGroup.objects.get_or_create(course_id=course_key, name="Default Group")[0]


def add_user_to_cohort(cohort: Any, user: Any) -> None:
    CohortMembership.objects.update_or_create(
        user=user, course_id=cohort.course_id, defaults={"course_user_group": cohort}
    )
    COHORT_MEMBERSHIP_UPDATED.send(sender=None, user=user, course_key=cohort.course_id)


def remove_user_from_cohort(cohort: Any, user: Any) -> None:
    CohortMembership.objects.get(user=user, course_user_group=cohort).delete()
    COHORT_MEMBERSHIP_UPDATED.send(sender=None, user=user, course_key=cohort.course_id)
