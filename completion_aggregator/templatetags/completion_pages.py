"""What the templates of the pages need to show numbers, and to find each other."""

from __future__ import annotations

from typing import Any

from django import template
from django.template.context import RequestContext
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from completion_aggregator.dashboard import charts, outline
from completion_aggregator.dashboard.pages import page_url as url_of_page
from completion_aggregator.engine import Tally

register = template.Library()
register.filter("percent", charts.percent_text)
register.filter("amount", outline.amount)
register.simple_tag(charts.bar, name="bar")
register.simple_tag(charts.ring, name="ring")


@register.filter
def count(number: int) -> str:
    """Write a number as it is written in the reader's language, thousands apart."""
    return number_format(number, decimal_pos=0, force_grouping=True)


@register.filter
def all_done(tally: Tally) -> str:
    """Say how many blocks are done, and of what is optional how many."""
    if tally.possible is None:
        return _("Not known yet")
    if not tally.possible:
        return optional_done(tally) if tally.optional_possible else _("Nothing to do")
    done = _("%(earned)s of %(possible)s done") % _amounts(tally.earned, tally.possible)
    return f"{done} · {optional_done(tally)}" if tally.optional_possible else done


@register.filter
def optional_done(tally: Tally) -> str:
    return _("%(earned)s of %(possible)s optional") % _amounts(tally.optional_earned, tally.optional_possible or 0)


def _amounts(earned: float, possible: int) -> dict[str, str]:
    return {"earned": outline.amount(earned), "possible": count(possible)}


@register.simple_tag(takes_context=True)
def page_url(context: RequestContext, name: str, **kwargs: Any) -> str:
    """Return the path of another page, at the mount of this one."""
    return url_of_page(context.request, name, **kwargs)
