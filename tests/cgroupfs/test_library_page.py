"""docs/cgroupfs.md: its example prints what it says, and it names what the library has."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import cgroupfs
from cgroupfs import CgroupError, Hierarchies

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/cgroupfs.md").read_text()


@pytest.mark.kernel
def test_the_example_prints_what_the_page_says(hierarchies: Hierarchies, parent: str) -> None:
    example, told = (
        re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL),
        re.findall(r"^    (0\.5 .*)$", PAGE, re.M),
    )
    code = example[0].replace('"/example/', f'"{parent}/')

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.stdout.splitlines(), done.stderr) == (told, "")
    assert len(code.split("\n\n")[0].splitlines()) + len(code.split("\n\n")[1].splitlines()) == 5


def test_every_error_is_on_the_page() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.M))

    assert {kind.__name__ for kind in _errors(CgroupError)} <= named


def test_what_the_page_names_is_there() -> None:
    objects = set(re.findall(r"^\| `([A-Z]\w+)`", PAGE, re.M))

    assert objects <= set(cgroupfs.__all__)


def _errors(kind: type[CgroupError]) -> set[type[CgroupError]]:
    return {found for each in kind.__subclasses__() for found in (each, *_errors(each))}
