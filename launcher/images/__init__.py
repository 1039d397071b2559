"""Images: pulled or imported, kept as layers that containers share, each under the digest of what it holds.

Names are imported when they are first used, as in `launcher`: the worker needs few of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launcher.images.model import Image, ImageConfig
    from launcher.images.reference import Reference, familiar, parse_reference
    from launcher.images.store import ImageStore, Removed

_HOME = {
    "Image": "model",
    "ImageConfig": "model",
    "ImageStore": "store",
    "Reference": "reference",
    "Removed": "store",
    "familiar": "reference",
    "parse_reference": "reference",
}

__all__ = [
    "Image",
    "ImageConfig",
    "ImageStore",
    "Reference",
    "Removed",
    "familiar",
    "parse_reference",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'launcher.images' has no attribute {name!r}")
    return getattr(importlib.import_module(f"launcher.images.{_HOME[name]}"), name)
