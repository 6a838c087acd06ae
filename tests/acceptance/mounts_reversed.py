"""The same paths in the other order: whose patterns come first must not matter."""

from __future__ import annotations

from tests.acceptance import mounts

urlpatterns = mounts.urlpatterns[::-1]
