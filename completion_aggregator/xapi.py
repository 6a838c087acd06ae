"""xAPI statements for the tracking events, by edx-event-routing-backends; imported only where that is installed."""

from __future__ import annotations

from event_routing_backends.processors.xapi import constants
from event_routing_backends.processors.xapi.registry import XApiTransformersRegistry
from event_routing_backends.processors.xapi.transformer import XApiTransformer
from tincan import Activity, ActivityDefinition, Extensions, LanguageMap, Result, Verb

from completion_aggregator.conf import conf, tracking_event_names


class ProgressTransformer(XApiTransformer):  # type: ignore[misc]  # the library has no types
    """A learner has progressed in a course, or in a part of one.

    Object and extension are those of openedx-completion-aggregator 4.5; the score is new.
    """

    _verb = Verb(id=constants.XAPI_VERB_PROGRESSED, display=LanguageMap({constants.EN: constants.PROGRESSED}))
    additional_fields = ("result",)

    def get_object(self) -> Activity:
        is_course = self.get_data("data.type", True) == "course"
        return Activity(
            id=self.get_object_iri("xblock", self.get_data("data.block_id", True)),
            definition=ActivityDefinition(
                type=constants.XAPI_ACTIVITY_COURSE if is_course else constants.XAPI_ACTIVITY_MODULE
            ),
        )

    def get_result(self) -> Result:
        percent = self.get_data("data.percent", True)
        return Result(
            completion=percent == 1.0,
            score={"scaled": percent},
            # The same in percent.
            extensions=Extensions({constants.XAPI_ACTIVITY_PROGRESS: percent * 100}),
        )


def register() -> None:
    """Have the events of all block types of the setting TRACKING_EVENT_TYPES transformed."""
    for name in tracking_event_names(conf.TRACKING_EVENT_TYPES):
        XApiTransformersRegistry.register(name)(ProgressTransformer)
