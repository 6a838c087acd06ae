"""How far each learner has come, in every course, section, subsection and unit."""

from __future__ import annotations

__version__ = "5.0.0.dev0"
