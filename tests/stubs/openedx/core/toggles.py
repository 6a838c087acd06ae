from __future__ import annotations

from typing import Any

from edx_toggles.toggles import WaffleFlag


class CourseWaffleFlag(WaffleFlag):
    """A flag that may be on in single courses; this stand-in knows only on and off."""

    def is_enabled(self, course_key: Any = None) -> bool:
        return super().is_enabled()


# .. toggle_name: authz.enable_course_authoring
# .. toggle_implementation: CourseWaffleFlag
# .. toggle_default: False
# .. toggle_description: Roles in courses are kept by openedx-authz.
# .. toggle_use_cases: open_edx
# .. toggle_creation_date: 2026-01-01
AUTHZ_COURSE_AUTHORING_FLAG = CourseWaffleFlag("authz.enable_course_authoring", __name__)
