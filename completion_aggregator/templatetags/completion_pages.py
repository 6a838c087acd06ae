"""What the templates of the pages need to show numbers, and to find each other."""

from __future__ import annotations

from typing import Any

from django import template
from django.template.context import RequestContext
from django.utils.formats import number_format

from completion_aggregator.dashboard import charts, outline
from completion_aggregator.dashboard.pages import page_url as url_of_page

register = template.Library()
register.filter("percent", charts.percent_text)
register.filter("amount", outline.amount)
register.simple_tag(charts.bar, name="bar")
register.simple_tag(charts.ring, name="ring")


@register.filter
def count(number: int) -> str:
    """Write a number as it is written in the reader's language, thousands apart."""
    return number_format(number, decimal_pos=0, force_grouping=True)


@register.simple_tag(takes_context=True)
def page_url(context: RequestContext, name: str, **kwargs: Any) -> str:
    """Return the path of another page, at the mount of this one."""
    return url_of_page(context.request, name, **kwargs)
