"""A store in a directory of its own, on the real file system, since whiteouts and attributes need one."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher.images import ImageStore
from launcher.images.streams import Limits


@pytest.fixture
def state_dir(short_dir: Path) -> Path:
    return short_dir / "state"


@pytest.fixture
def store(state_dir: Path) -> ImageStore:
    return ImageStore(str(state_dir))


@pytest.fixture
def strict_store(state_dir: Path) -> ImageStore:
    """One with limits that a test can reach."""
    limits = Limits(layer_bytes=8 << 20, entries=2000, ratio_from_bytes=1 << 20)
    return ImageStore(str(state_dir), limits=limits)
