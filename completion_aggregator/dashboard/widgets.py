"""Small pages to be framed by others: how far I have come in a course, as a bar or as a ring."""

from __future__ import annotations

from completion_aggregator.dashboard.views import CompletionProgressBarView


class BarWidgetView(CompletionProgressBarView):
    """The progress bar of a course in the look of the other pages, with a way to the learner's page about it."""

    template_name = "completion_aggregator/widget_bar.html"


class RingWidgetView(BarWidgetView):
    template_name = "completion_aggregator/widget_ring.html"
