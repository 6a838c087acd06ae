"""All transformers that are installed, of the platform and of others."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

from edx_django_utils.plugins import PluginManager


class TransformerRegistry(PluginManager):
    NAMESPACE = "openedx.block_structure_transformer"

    @classmethod
    def get_registered_transformers(cls) -> set[Any]:
        return set(cls.get_available_plugins().values())

    @classmethod
    @cache
    def get_write_version_hash(cls) -> str:
        versions = sorted((each.name(), each.WRITE_VERSION) for each in cls.get_registered_transformers())
        return hashlib.sha1(repr(versions).encode()).hexdigest()

    @classmethod
    def find_unregistered(cls, transformers: Any) -> set[str]:
        registered = {each.name() for each in cls.get_registered_transformers()}
        return {each.name() for each in transformers} - registered
