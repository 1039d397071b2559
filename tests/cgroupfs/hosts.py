"""Which tests apply to which tree: one that needs what a tree lacks is left out there, and counted.

``@pytest.mark.needs("memory", "v1")`` asks for a controller of one kind, ``needs("nodes", "2")`` for memory
nodes. A test that takes the fixture ``captured`` runs once for each captured tree, one that takes ``working``
on the real kernel as well.
"""

from __future__ import annotations

import functools
import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from cgroupfs import CgroupError, Hierarchies
from cgroupfs.hierarchies import DONE_BY_UNIFIED
from cgroupfs.values import count_listed
from tests import trees

REAL: Final = "this kernel"
EMULATED: Final = os.environ.get("CGWARDEN_IN_GUEST") == "1"  # twenty times as slow
LEFT_OUT: Final = pytest.StashKey[Counter[str]]()
CAPTURED: Final = tuple(sorted(path.stem for path in trees.HERE.glob("*.txt")))


def kinds_of(hierarchies: Hierarchies) -> dict[str, str]:
    """Controller -> ``v1`` or ``v2``, and how many memory nodes there are."""
    kinds = {name: place.kind for name, place in hierarchies.places.items()}
    if "unified" in kinds:
        kinds = dict.fromkeys(DONE_BY_UNIFIED, "v2") | kinds
    return kinds | {"nodes": str(count_listed(hierarchies.host.read_nodes()))}


@functools.cache
def kinds_in(tree: str) -> Mapping[str, str] | None:
    """The same for a captured tree by its name, or for the real one; None where there are no cgroups."""
    try:
        if tree == REAL:
            return kinds_of(Hierarchies.read())
        with tempfile.TemporaryDirectory() as root:
            trees.unpack(tree, Path(root))
            return kinds_of(Hierarchies.read(root))
    except CgroupError:
        return None


def missing_need(item: pytest.Function) -> str | None:
    """The first need of a test that its tree does not meet, in words."""
    kinds = kinds_in(_tree_of(item))
    if kinds is None:
        return None
    needs = [mark.args for mark in item.iter_markers("needs")]
    return next((f"{name} {kind}" for name, kind in needs if kinds.get(name) != kind), None)


def _tree_of(item: pytest.Function) -> str:
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return str(parameters.get("captured", parameters.get("working", REAL)))


def parametrize_by_tree(metafunc: pytest.Metafunc) -> None:
    """Once per captured tree for ``captured``; and on the real kernel for ``working``."""
    for name in sorted({"captured", "working"} & set(metafunc.fixturenames)):
        real = [pytest.param(REAL, marks=pytest.mark.kernel)] if name == "working" else []
        metafunc.parametrize(name, [*CAPTURED, *real], indirect=True)


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what does not apply."""
    needs: dict[pytest.Item, str | None] = {
        item: missing_need(item) for item in items if isinstance(item, pytest.Function)
    }
    left_out = [item for item in items if needs.get(item) is not None]
    if left_out:
        config.stash[LEFT_OUT] = Counter(need for need in needs.values() if need is not None)
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if needs.get(item) is None]


def report_left_out(config: pytest.Config) -> str | None:
    """One line; None where everything applies."""
    counts = config.stash.get(LEFT_OUT, None)
    if not counts:
        return None
    shown = ", ".join(f"{count} need {need}" for need, count in sorted(counts.items()))
    return f"left out, since they are for other kinds of hosts: {counts.total()} ({shown})"
