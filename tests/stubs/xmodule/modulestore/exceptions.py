from __future__ import annotations


class ItemNotFoundError(Exception):
    pass
