"""Overlay over more layers than one option of the kernel holds, newer kernels and older ones."""

import os
from pathlib import Path

import pytest

from launcher.rootfs.merged import opened_merged

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("count", [1, 2, 13, 14, 40, 127])
def test_the_topmost_of_many_layers_is_seen_first(short_dir: Path, count: int) -> None:
    layers = []
    for number in range(count):
        layer = short_dir / f"{number}:,\\"
        layer.mkdir()
        (layer / "who").write_text(f"{number}")
        (layer / f"own{number}").touch()
        layers.append(str(layer))
    place = short_dir / "place"
    place.mkdir()

    with opened_merged(tuple(layers), str(place)) as root:
        names = set(os.listdir(root))
        with open(os.open("who", os.O_RDONLY, dir_fd=root)) as file:
            who = file.read()

    assert who == str(count - 1)
    assert names == {"who", *(f"own{number}" for number in range(count))}
