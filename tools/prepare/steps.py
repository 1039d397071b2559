"""A step knows what it is made from; its stamp remembers that by content, so time stamps never matter."""

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from tools.prepare.progress import Progress

ROOT: Final = Path(__file__).resolve().parents[2]
STAMPS: Final = ROOT / ".stamps"
_NOT_SOURCES: Final = frozenset({"node_modules", "dist", "__pycache__", "coverage"})


class SetupFailed(Exception):
    """A step cannot be done; the text is one line: which one, why, what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One thing to install or build.

    Attributes:
        name: what people read in the progress line.
        inputs: files and directories (below the checkout) that the result is made from.
        run: does it; raises SetupFailed. It is given a file for the output of what it calls.
        holds: whether the result is still there; must cost next to nothing.
        version: whatever else the result depends on, such as the interpreter.
    """

    name: str
    inputs: tuple[str, ...]
    run: Callable[[Path], None]
    holds: Callable[[], bool]
    version: str = ""

    @property
    def slug(self) -> str:
        """The name as a file name."""
        return self.name.lower().replace(" ", "-")

    def key(self) -> str:
        """Hash of everything that the result depends on."""
        digest = hashlib.sha256(self.version.encode())
        for path in _files(self.inputs):
            digest.update(f"\0{path.relative_to(ROOT)}\0".encode())
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def is_done(self, key: str) -> bool:
        """Whether the result is there and was made from exactly these inputs."""
        stamp = STAMPS / self.slug
        return stamp.is_file() and stamp.read_text() == key and self.holds()


def run_pending(steps: Sequence[Step]) -> None:
    """Run each step that is not up to date, in order, with a line of progress each."""
    STAMPS.mkdir(exist_ok=True)
    with _alone():
        if all(step.is_done(step.key()) for step in steps):
            print("set-up: up to date")
            return
        for number, step in enumerate(steps, 1):
            _run(step, f"[{number}/{len(steps)}] {step.name}")


def _run(step: Step, title: str) -> None:
    # The key is taken before the step runs: a file changed meanwhile makes the step run again.
    key = step.key()
    if step.is_done(key):
        print(f"{title} … up to date", flush=True)
        return
    log = STAMPS / f"{step.slug}.log"
    log.write_text("")
    started = time.monotonic()
    with Progress(title, log) as progress:
        step.run(log)
        if not step.holds():
            raise SetupFailed(
                f"{step.name}: finished, but its result is not there (see {log.relative_to(ROOT)})"
            )
        progress.finish(f"{time.monotonic() - started:.0f} s")
    (STAMPS / step.slug).write_text(key)


def _files(inputs: Sequence[str]) -> Iterator[Path]:
    for name in inputs:
        path = ROOT / name
        if path.is_dir():
            yield from sorted(_walk(path))
        elif path.is_file():
            yield path


def _walk(top: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(top):
        names[:] = [name for name in names if name not in _NOT_SOURCES]
        yield from (Path(directory, file) for file in files if not file.endswith((".pyc", ".tsbuildinfo")))


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One set-up at a time per checkout; the second waits and then finds everything done."""
    with (STAMPS / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("set-up: waiting for another one in this checkout", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
