"""Which containers stand on which layers: read from their records, so that ended ones and those of an earlier
daemon count as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final, NamedTuple

from launcher import records
from launcher.images.reference import DIGEST

_ROOT: Final = "root.json"


class Use(NamedTuple):
    """A container, the image as it was asked for, and the diff ids that it stands on."""

    container: str
    image: str
    layers: tuple[str, ...]


def read_uses(state_dir: str) -> Iterator[Use]:
    """Every container over an image, running or not."""
    try:
        names = os.listdir(f"{state_dir}/containers")
    except FileNotFoundError:
        return
    for name in sorted(names):
        directory = f"{state_dir}/containers/{name}"
        root = records.read_record(directory, _ROOT) or {}
        layers = parse_layers(root.get("layers"), f"{state_dir}/layers/")
        if layers:
            intent = records.read_record(directory, records.SPEC) or {}
            spec = intent.get("spec")
            yield Use(name, str(spec.get("image", "")) if isinstance(spec, dict) else "", layers)


def parse_layers(directories: object, ours: str) -> tuple[str, ...]:
    """The diff ids of those directories that are layers of ours (`ours` ends in a slash)."""
    if not isinstance(directories, list):
        return ()
    names = (path.removeprefix(ours).partition("/")[0] for path in directories if str(path).startswith(ours))
    return tuple(f"sha256:{name}" for name in names if DIGEST.fullmatch(f"sha256:{name}"))
