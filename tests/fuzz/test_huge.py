"""Inputs of many megabytes cost no parser more than a bounded time and memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.fuzz.one import ROOT
from tests.fuzz.targets import TARGETS


@pytest.mark.timeout(600)  # of wall time on a busy machine; the bound that counts is on CPU time
def test_huge_inputs_take_bounded_time_and_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.huge"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, f"{done.stdout.splitlines()[-1:]} {done.stderr[-2000:]}"
    assert done.stdout.splitlines() == list(TARGETS)
