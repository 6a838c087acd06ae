"""Every setting, once: name, type, default, unit and meaning.

Read one as `conf.BLOCK_TYPES`; it looks into Django's settings each time, so that overrides just work.
The names are those of the plugin that this package replaces, where a setting still means what it meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, Generic, TypeVar, overload

from django.conf import settings

T = TypeVar("T")
_RATE = re.compile("[1-9][0-9]{0,8}/(second|minute|hour|day)")
PREFIX = "COMPLETION_AGGREGATOR_"
#: What the name of a tracking event begins with; the block type follows.
TRACKING_EVENT_PREFIX = "openedx.completion_aggregator.progress."


class Setting(Generic[T]):
    """One setting: a descriptor that reads Django's settings at access time."""

    def __init__(self, default: T, doc: str, *, expects: str, valid: Callable[[Any], bool]) -> None:
        self.default = default
        self.doc = doc
        #: What a valid value is, in words: ends the sentence "… must be".
        self.expects = expects
        self.valid = valid
        self.name = ""

    def __set_name__(self, owner: type[Settings], name: str) -> None:
        self.name = PREFIX + name

    @overload
    def __get__(self, instance: None, owner: type[Settings]) -> Setting[T]: ...
    @overload
    def __get__(self, instance: Settings, owner: type[Settings]) -> T: ...
    def __get__(self, instance: Settings | None, owner: type[Settings]) -> Setting[T] | T:
        if instance is None:
            return self
        value: T = getattr(settings, self.name, self.default)
        return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_or_none(value: Any) -> bool:
    return value is None or _is_text(value)


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and "." in value


def _is_paths(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_path, value))


def _is_names(value: Any) -> bool:
    return isinstance(value, set | frozenset | list | tuple) and all(isinstance(name, str) for name in value)


def _is_names_or_none(value: Any) -> bool:
    return value is None or _is_names(value)


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1


def _is_shares(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_share, value))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_count_or_zero(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_seconds_or_none(value: Any) -> bool:
    return value is None or _is_seconds(value)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_rate_or_none(value: Any) -> bool:
    return value is None or (isinstance(value, str) and bool(_RATE.fullmatch(value)))


class Settings:
    """The settings, by their names without the prefix COMPLETION_AGGREGATOR_."""

    LMS = Setting[str](
        "completion_aggregator.lms.openedx.OpenEdX",
        "Dotted path of the adapter class that answers for the LMS (a subclass of completion_aggregator.lms.base.LMS).",
        expects="a dotted path",
        valid=_is_path,
    )
    BLOCK_TYPES = Setting[set[str]](
        {"course", "chapter", "sequential", "vertical"},
        "Block types that clients may ask for in requested_fields.",
        expects="a set of block types",
        valid=_is_names,
    )
    ASYNC_AGGREGATION = Setting[bool](
        True,
        "True: a completion only marks the learner stale, a worker or command aggregates later. "
        "False: the learner's own completion is aggregated right after the request's transaction has committed.",
        expects="True or False",
        valid=_is_bool,
    )
    AGGREGATE_UNRELEASED_BLOCKS = Setting[bool](
        False,
        "True: blocks whose start date has not come count too.",
        expects="True or False",
        valid=_is_bool,
    )
    SHARE_STRUCTURE = Setting[bool](
        True,
        "True: learners who see the same of a course share its structure. False: the LMS works out for each learner "
        "what they see, which takes many times longer; for an LMS whose transformers look at more than roles, cohorts "
        "and enrollment modes. Only for Open edX.",
        expects="True or False",
        valid=_is_bool,
    )
    AUTHENTICATION_CLASSES = Setting[list[str]](
        [
            "edx_rest_framework_extensions.auth.jwt.authentication.JwtAuthentication",
            "openedx.core.lib.api.authentication.BearerAuthenticationAllowInactiveUser",
            "edx_rest_framework_extensions.auth.session.authentication.SessionAuthenticationAllowInactiveUser",
        ],
        "Dotted paths of the authentication classes of the REST API, tried in this order. "
        "The first one decides whether a refusal is a 401, so it must have a WWW-Authenticate header.",
        expects="a list of dotted paths",
        valid=_is_paths,
    )
    PAGINATION_CLASS = Setting[str](
        "completion_aggregator.api.common.CompletionPagination",
        "Dotted path of the pagination class of the REST API.",
        expects="a dotted path",
        valid=_is_path,
    )
    MEAN_CACHE_TIMEOUT = Setting[float](
        300,
        "How long the mean of a course is kept in the default cache, when nothing is aggregated meanwhile. "
        "Unit: seconds; 0: not at all.",
        expects="a number of seconds",
        valid=_is_seconds,
    )
    ROUTING_KEY = Setting[str](
        "",
        "Celery routing key of the chunks that are sent to the workers; empty: the LMS's own routes decide.",
        expects="a routing key",
        valid=_is_text,
    )
    QUEUE_TIMEOUT = Setting[float](
        3600,
        "How long a chunk that was sent to the workers is waited for. Then it counts as lost, and its learners are "
        "sent again. Unit: seconds.",
        expects="a number of seconds",
        valid=_is_seconds,
    )
    TASK_TIME_LIMIT = Setting[float](
        300,
        "After this time a worker gives a chunk up and sends it again in two halves; of one learner it is a failure. "
        "Unit: seconds; 0: no limit.",
        expects="a number of seconds",
        valid=_is_seconds,
    )
    BULK_BUDGET = Setting[float | None](
        30,
        "How much of each minute bulk work may take: publications, release dates, rebuilds, the migration. What "
        "learners do comes before it, and is not counted. The time of all workers is added up: 60 keeps one busy. "
        "reaggregate_course --inline, which somebody waits for, is not held back. Unit: seconds a minute; "
        "None or 0: no limit.",
        expects="a number of seconds, or None",
        valid=_is_seconds_or_none,
    )
    MAX_ATTEMPTS = Setting[int](
        10,
        "How often the aggregation of a learner in a course may fail before it is left alone. Unit: attempts.",
        expects="a whole number above 0",
        valid=_is_count,
    )
    RETRY_DELAY = Setting[float](
        60,
        "Time before the second attempt after a failure; it doubles with each further one, up to a day. Unit: seconds.",
        expects="a number of seconds",
        valid=_is_seconds,
    )
    TRACKING_EVENT_TYPES = Setting[Collection[str] | None](
        {"course", "chapter", "sequential", "vertical"},
        "Block types of which a tracking event tells each change of a learner's values. None or empty: no events.",
        expects="a set of block types, or None",
        valid=_is_names_or_none,
    )
    THRESHOLDS = Setting[Collection[float]](
        [0.25, 0.5, 0.75, 1.0],
        "Of which percents of a course the signal threshold_reached tells. Empty: of none. "
        "Unit: share of the course, 0.0 to 1.0.",
        expects="a list of numbers above 0, up to 1",
        valid=_is_shares,
    )
    SNAPSHOT_INTERVAL = Setting[float](
        900,
        "How old the figures of a course may be on its dashboard, while learners are aggregated in it: the service "
        "works them out anew so often. Unit: seconds; 0: each time that it looks for work.",
        expects="a number of seconds",
        valid=_is_seconds,
    )
    SNAPSHOT_DAYS = Setting[int](
        365,
        "How long it is known how far a course and its learners were on a day. Older snapshots are deleted by the "
        "cleanup. Unit: days.",
        expects="a whole number above 0",
        valid=_is_count,
    )
    AT_RISK_DAYS = Setting[int](
        14,
        "A learner who has done nothing for so long, and has come less far than AT_RISK_PERCENT, counts as at risk. "
        "Unit: days.",
        expects="a whole number above 0",
        valid=_is_count,
    )
    AT_RISK_PERCENT = Setting[float](
        0.5,
        "A learner who has come as far as this is not at risk. Unit: share of the course, 0.0 to 1.0.",
        expects="a number above 0, up to 1",
        valid=_is_share,
    )

    VERIFY_SAMPLE = Setting[int](
        1000,
        "How many learners are compared once a day with what their values are made from. They are drawn from up to 50 "
        "courses, as many from each. Unit: learners; 0: none.",
        expects="a whole number",
        valid=_is_count_or_zero,
    )
    REFRESH_RATE = Setting[str | None](
        "10/minute",
        "How often a user may ask for a course to be recomputed (refresh of the REST API), counted apart for each "
        "course. None: as often as they like.",
        expects="a number, a slash, and second, minute, hour or day; or None",
        valid=_is_rate_or_none,
    )
    EXPENSIVE_RATE = Setting[str | None](
        "300/minute",
        "How often a user may ask for what costs more than a page of results: bulk, explain, export and summary of the "
        "REST API, counted together. None: as often as they like.",
        expects="a number, a slash, and second, minute, hour or day; or None",
        valid=_is_rate_or_none,
    )
    CONTENT_SECURITY_POLICY = Setting[str | None](
        None,
        "The Content-Security-Policy of the pages. None: one that allows what the pages of the package are made of, "
        "and no script. Empty: no such header of ours, for templates of your own that need more.",
        expects="a policy, or None",
        valid=_is_text_or_none,
    )

    MAX_LAG = Setting[float](
        900,
        "How long the oldest due marker may wait before health/lag/ answers 503. Unit: seconds.",
        expects="a number of seconds",
        valid=_is_seconds,
    )
    METRICS_TOKEN = Setting[str](
        "",
        "The token with which Prometheus may read metrics/ (Authorization: Bearer …). Empty: nobody may, and there is "
        "no such page.",
        expects="a text",
        valid=_is_text,
    )

    @classmethod
    def all(cls) -> list[Setting[Any]]:
        """Return every setting, in the order written here."""
        return [value for value in vars(cls).values() if isinstance(value, Setting)]


conf = Settings()


def tracking_event_names(block_types: Collection[str] | None) -> list[str]:
    """Return the names of the tracking events of these block types; it may be called while settings are being made."""
    return sorted(TRACKING_EVENT_PREFIX + block_type for block_type in block_types or ())


def allow_tracking_events(module: Any) -> None:
    """Let edx-event-routing-backends pass the tracking events on, in whichever order both make their settings.

    Args:
        module: the settings, while they are being made.
    """
    types = Settings.TRACKING_EVENT_TYPES
    names = tracking_event_names(getattr(module, types.name, types.default))
    allowed = vars(module).setdefault("EVENT_TRACKING_BACKENDS_ALLOWED_XAPI_EVENTS", [])
    # In place: the other one may have taken the list already …
    allowed += [name for name in names if name not in allowed]
    if transformer := getattr(module, "EVENT_TRACKING_BACKENDS", {}).get("event_transformer"):
        # … and made copies of it.
        transformer["OPTIONS"]["processors"][0]["OPTIONS"]["whitelist"].update(names)
        module.EVENT_BUS_TRACKING_LOGS.update(names)


#: Settings of the replaced plugin that mean nothing any more, and why. Setting them is harmless.
RETIRED = {
    PREFIX + "AGGREGATION_LOCK": "rows are locked, not the whole aggregation",
    PREFIX + "AGGREGATION_LOCK_TIMEOUT_SECONDS": "a row lock ends with its transaction",
    PREFIX + "CLEANUP_LOCK": "two cleanups at once do no harm",
    PREFIX + "CLEANUP_LOCK_TIMEOUT_SECONDS": "two cleanups at once do no harm",
    PREFIX + "UPDATER_CACHE_TIMEOUT": "a course's structure is kept by its published version, not by time",
    PREFIX + "USE_COLLECTED_BLOCK_STRUCTURE": "learners with the same view of a course always share its structure",
}
