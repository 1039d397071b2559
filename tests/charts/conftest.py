"""Renders the chart with helm, as a user would, and gives the objects to the tests."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "cgwarden"
VALUES = sorted((CHART / "ci").glob("*.yaml"))

Object = dict[str, Any]


class Refused(Exception):
    """helm did not render; the text is what it said."""


class Rendered:
    """The objects of one release."""

    def __init__(self, text: str) -> None:
        self.objects: list[Object] = [found for found in yaml.safe_load_all(text) if found]

    def __getitem__(self, kind: str) -> Object:
        (found,) = [one for one in self.objects if one["kind"] == kind]
        return found

    @property
    def kinds(self) -> list[str]:
        return sorted(one["kind"] for one in self.objects)

    @property
    def pod(self) -> Object:
        spec: Object = self["DaemonSet"]["spec"]["template"]["spec"]
        return spec

    @property
    def container(self) -> Object:
        (found,) = self.pod["containers"]
        return dict(found)


Render = Callable[..., Rendered]


@pytest.fixture(scope="session")
def helm() -> str:
    """The helm that set-up took out of its package."""
    found = shutil.which("helm", path=f"{ROOT / '.cache' / 'bin'}:/usr/local/bin:/usr/bin")
    if found is None:
        pytest.skip("no helm: make test, or python3 -m tools.prepare check")
    return found


@pytest.fixture(scope="session")
def render(helm: str) -> Render:
    """``render("a.b=c", values=FILE)`` -> what `helm template` makes of it."""

    def run(*settings: str, values: Path | None = None) -> Rendered:
        options = [option for setting in settings for option in ("--set", setting)]
        options += [] if values is None else ["--values", str(values)]
        command = [helm, "template", "release", str(CHART), "--namespace", "ops", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Refused(done.stderr)
        return Rendered(done.stdout)

    return run
