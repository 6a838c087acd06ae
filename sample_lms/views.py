"""Pages of the sample LMS: the start of the demo; a course and its blocks, each with a way to do it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from completion.models import BlockCompletion
from completion.waffle import ENABLE_COMPLETION_TRACKING_SWITCH
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.generic import TemplateView, View
from opaque_keys.edx.keys import CourseKey, UsageKey

from completion_aggregator.engine import CompletionMode
from completion_aggregator.exceptions import CourseNotFoundError, InvalidKeyError
from completion_aggregator.lms.base import CourseOutline, HiddenBlock, HiddenReason, OutlineBlock
from completion_aggregator.utils import parse_course_key
from sample_lms.lms import SampleLMS
from sample_lms.models import Course, Enrollment

#: What people call the block types; others go by their own name.
KINDS = {
    "course": "Course",
    "chapter": "Section",
    "sequential": "Subsection",
    "vertical": "Unit",
    "html": "Text",
    "library_content": "Random selection",
    "itembank": "Random selection",
}
REASONS = {
    HiddenReason.NOT_RELEASED: "Not released yet",
    HiddenReason.OTHER_GROUP: "For another group",
    HiddenReason.NOT_SELECTED: "Not drawn for you",
    HiddenReason.STAFF_ONLY: "For staff only",
    HiddenReason.UNKNOWN: "Not shown to you",
}


class StartPage(TemplateView):
    """Lead to everything that there is to see, with the accounts of the demo a button away."""

    template_name = "sample_lms/start.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        learners = get_user_model().objects.filter(is_staff=False)
        return super().get_context_data(
            course=Course.objects.order_by("pk").first(),
            learner=learners.filter(username="learner").first(),
            learners=learners.count(),
            accounts=("staff", "learner"),
            **kwargs,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A block as a page shows it."""

    url: str | None
    name: str
    kind: str
    is_done: bool
    hidden: HiddenBlock | None
    #: Why it is hidden, in words.
    reason: str


class BlockPage(LoginRequiredMixin, View):
    """What a block is, where it stands and what it holds; POST does it. Without a block key: the course."""

    course_key: CourseKey
    block: OutlineBlock

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        try:
            self.course_key = parse_course_key(kwargs["course_key"])
            self.outline = SampleLMS().course_outline(self.course_key)
            place = self.outline.positions[kwargs["block_key"]] if "block_key" in kwargs else 0
        except (CourseNotFoundError, InvalidKeyError, KeyError):
            raise Http404 from None
        self.block = self.outline.blocks[place]

    def get(self, request: HttpRequest, **keys: str) -> HttpResponse:
        children = [self.outline.blocks[place] for place in self.block.children]
        context = {
            "page": self._describe(self.block),
            "breadcrumb": [self._describe(each) for each in breadcrumb(self.outline, self.block)],
            "children": [self._describe(each) for each in children],
            "can_complete": self._can_complete(),
        }
        return render(request, "sample_lms/block.html", context)

    def post(self, request: HttpRequest, **keys: str) -> HttpResponse:
        if not self._can_complete():
            raise PermissionDenied
        block_key = UsageKey.from_string(self.block.key).map_into_course(self.course_key)
        BlockCompletion.objects.submit_completion(request.user, block_key, 1.0)
        messages.success(request, "Done.")
        return redirect(request.path)

    def _describe(self, block: OutlineBlock) -> Entry:
        hidden = self._hidden.get(block.key)
        return Entry(
            url=SampleLMS().block_url(self.course_key, block.key),
            name=block.display_name or block.block_type,
            kind=KINDS.get(block.block_type, block.block_type.replace("_", " ").capitalize()),
            is_done=block.key in self._done,
            hidden=hidden,
            reason="" if hidden is None else REASONS[hidden.reason],
        )

    def _can_complete(self) -> bool:
        enrollments = Enrollment.objects.filter(user_id=self._user_id, course_id=self.course_key, is_active=True)
        return (
            self.block.mode == CompletionMode.COMPLETABLE
            and self.block.key not in self._hidden
            and ENABLE_COMPLETION_TRACKING_SWITCH.is_enabled()
            and enrollments.exists()
        )

    @property
    def _user_id(self) -> int:
        return cast("int", self.request.user.pk)  # whoever is here has logged in

    @cached_property
    def _hidden(self) -> dict[str, HiddenBlock]:
        return SampleLMS().hidden_blocks(self.course_key, self._user_id, now=timezone.now())

    @cached_property
    def _done(self) -> set[str]:
        keys = [self.block.key, *(self.outline.blocks[place].key for place in self.block.children)]
        done = BlockCompletion.objects.filter(
            user_id=self._user_id, context_key=self.course_key, block_key__in=keys, completion=1.0
        )
        return {str(key) for key in done.values_list("block_key", flat=True)}


def breadcrumb(outline: CourseOutline, block: OutlineBlock) -> list[OutlineBlock]:
    """Return what a block is in, the course first; of several places, the first."""
    places = {child: parent for parent in reversed(outline.blocks) for child in parent.children}
    above: list[OutlineBlock] = []
    while (parent := places.get(outline.positions[block.key])) is not None:
        above.insert(0, parent)
        block = parent
    return above
