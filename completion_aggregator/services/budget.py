"""What bulk work may take of the database's time: so much a minute, over all services and workers together.

Whoever gives bulk work out asks first how much of it that may be now; whoever has done some tells what it really
took. Both go through one row, which nothing else uses: neither a learner's request nor ordinary work waits for it.
"""

from __future__ import annotations

from math import ceil

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone

from completion_aggregator.conf import conf
from completion_aggregator.models import BulkBudget

#: Unit: seconds.
_MINUTE = 60.0
#: Time that a grant covers at most: a service that runs from cron once an hour gets all of it. Unit: seconds.
_LONGEST = 3600.0
#: How much a chunk weighs in the estimate of what a learner takes.
_WEIGHT = 0.1
#: The estimate is never less, or failures, which take no time, would open the door to all at once. Unit: seconds.
_LEAST = 0.001


def grant_bulk() -> int | None:
    """Return of how many learners bulk work may be given out now; None: of any number.

    It is what the setting BULK_BUDGET gives for the time since the last grant, an hour at most, less what the chunks
    have taken beyond what was granted for them. Each pass asks, so that time is the pause between two of them; what
    one does not use is not kept: work that was saved up would be in the way of the next learner, all at once.

    Cost: three short statements.
    """
    if not conf.BULK_BUDGET:
        return None
    BulkBudget.objects.get_or_create(pk=1)
    with transaction.atomic():
        budget = BulkBudget.objects.select_for_update().get(pk=1)
        now = timezone.now()
        # The clocks of two machines differ a little.
        waited = _MINUTE if budget.granted_at is None else max(0.0, (now - budget.granted_at).total_seconds())
        earned = conf.BULK_BUDGET * min(waited, _LONGEST) / _MINUTE
        seconds = min(earned - budget.debt, max(earned, conf.BULK_BUDGET))
        # Rounded up, or a learner who takes long would never be granted.
        learners = max(0, ceil(seconds / budget.seconds_per_learner))
        budget.debt = learners * budget.seconds_per_learner - seconds
        budget.granted_at = now if budget.granted_at is None else max(now, budget.granted_at)
        budget.save()
    return learners


def charge_bulk(learners: int, seconds: float) -> None:
    """Note what a chunk of bulk work took: the next grant is less, or more, by what it differs from the estimate.

    Cost: one statement, in no transaction.
    """
    if not conf.BULK_BUDGET:
        return
    estimate = F("seconds_per_learner")
    BulkBudget.objects.filter(pk=1).update(
        # In this order: MySQL takes the new value of a column for what comes after it.
        debt=F("debt") + seconds - estimate * learners,
        seconds_per_learner=Greatest(estimate * (1 - _WEIGHT) + _WEIGHT * seconds / learners, _LEAST),
    )
