"""Packaging of completion-aggregator; the tools' settings live in pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def requirements(name: str) -> list[str]:
    """Return the lines of requirements/<name>.in that name a package."""
    lines = (HERE / "requirements" / f"{name}.in").read_text(encoding="utf-8").splitlines()
    return [line for line in map(str.strip, lines) if line and not line.startswith(("#", "-"))]


def version() -> str:
    source = (HERE / "completion_aggregator" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    if found is None:
        raise RuntimeError("completion_aggregator/__init__.py names no __version__")
    return found[1]


setup(
    name="completion-aggregator",
    version=version(),
    description="How far each learner has come, in every course, section, subsection and unit of a Django LMS",
    long_description=(HERE / "README.rst").read_text(encoding="utf-8"),
    long_description_content_type="text/x-rst",
    license="AGPL-3.0-or-later",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["completion_aggregator", "completion_aggregator.*"]),
    package_data={"completion_aggregator": ["py.typed", "templates/**/*.html", "static/**/*", "locale/**/*"]},
    install_requires=requirements("base"),
    entry_points={
        "lms.djangoapp": ["completion_aggregator = completion_aggregator.apps:CompletionAggregatorConfig"],
        "cms.djangoapp": ["completion_aggregator = completion_aggregator.apps:CompletionAggregatorConfig"],
        "openedx.block_structure_transformer": [
            "completion_aggregator = completion_aggregator.transformers:CompletionAggregatorTransformer"
        ],
    },
    extras_require={name: requirements(name) for name in ("metrics", "mysql", "postgresql", "tracing", "xapi")},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Framework :: Django",
        "Framework :: Django :: 5.2",
        "Framework :: Django :: 6.0",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
    ],
)
