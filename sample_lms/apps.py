"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig


class SampleLMSConfig(AppConfig):
    """Connects the receivers."""

    name = "sample_lms"
    verbose_name = "Sample LMS"

    def ready(self) -> None:
        # Models may be imported only now.
        from sample_lms import handlers

        handlers.connect()
