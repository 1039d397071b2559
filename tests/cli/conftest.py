"""A stub daemon, and the command line called in this process with its output caught."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from cgwarden.cli import main
from tests.cli.stub import Stub, serving
from tests.leaks import remove_unmounted


class Said(NamedTuple):
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str


Cli = Callable[..., Said]


@pytest.fixture
def short_directory() -> Iterator[Path]:
    # Unix socket paths are short; pytest's own directories are not.
    path = Path(tempfile.mkdtemp(prefix="cgw"))
    yield path
    remove_unmounted(path)


@pytest.fixture
def stub(short_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    with serving(short_directory) as stub:
        monkeypatch.setenv("CGWARDEN_HOST", stub.host)
        yield stub


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Cli:
    def call(*argv: str) -> Said:
        code = main(list(argv))
        out, err = capfd.readouterr()
        return Said(code, out, err)

    return call
