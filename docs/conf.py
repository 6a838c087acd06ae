"""How Sphinx builds the documentation."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]
# The Python reference is read from the code, which needs an LMS.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sample_lms.settings")
os.environ.setdefault("DATABASE_URL", "sqlite://:memory:")

import django  # noqa: E402

django.setup()

import completion_aggregator  # noqa: E402

project = "completion-aggregator"
copyright = "AGPL-3.0-or-later"  # noqa: A001 - Sphinx's name
version = release = completion_aggregator.__version__

extensions = ["sphinx.ext.autodoc", "docstrings", "settings_reference", "differences_reference"]
html_theme = "furo"
exclude_patterns = ["_build"]
smartquotes = False
default_role = "literal"

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
