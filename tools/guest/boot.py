"""One boot of the guest: start it, show what it says, stop it in time, bring back its status."""

import contextlib
import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TextIO

from tools.prepare.binaries import BIN
from tools.prepare.guest import BINDS, GUEST, PYTHON_IMAGE, VIRTME, kernel_image, make_image, place
from tools.prepare.python import PACKAGES
from tools.prepare.steps import ROOT, SetupFailed

RESULTS: Final = GUEST / "results"
INSIDE: Final = Path(__file__).with_name("inside.sh")
SOURCES: Final = (*PACKAGES, "tests", "tools", "pyproject.toml")
# What the dashboard is built with, and traces of other runs.
NOT_COPIED: Final = ("node_modules", "__pycache__", "*.pyc")
NODE: Final = "1G"
# Directories of the host that the guest may write to, without the host ever seeing it.
THROWN_AWAY: Final = ("/etc", "/lib", "/var", "/tmp")
# Of the host's environment only what changes how tests run.
PASSED_ON: Final = ("CI", "CGWARDEN_SEED", "PYTEST_ADDOPTS")
_POLL_SEC: Final = 0.1
_GRACE_SEC: Final = 5.0


class GuestFailed(Exception):
    """The guest gave no result, or a bad one; one line."""


def boot(command: Sequence[str], *, timeout_sec: float) -> int:
    """Run `command` in the guest, showing its output; its exit status. `GuestFailed` where there is none."""
    with _alone():
        shutil.rmtree(RESULTS, ignore_errors=True)
        RESULTS.mkdir(parents=True)
        (RESULTS / "command").write_text(_script(command))
        (RESULTS / "log").touch()
        with tempfile.TemporaryDirectory(dir=GUEST) as scratch:
            sources = Path(scratch, "sources.img")
            _make_sources_image(sources)
            _run(_guest_command(sources), time.monotonic() + timeout_sec, timeout_sec)
    return _status()


def _script(command: Sequence[str]) -> str:
    """What the guest runs; `$RESULTS` in a word is left to its shell."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in passed.items()]
    words = [f'"{word}"' if word.startswith("$RESULTS/") else shlex.quote(word) for word in command]
    lines.append(f"export PATH={shlex.quote(str(BIN))}:$PATH")
    return "\n".join([*lines, f"cd {shlex.quote(str(ROOT))}", " ".join(words), ""])


def _make_sources_image(image: Path) -> None:
    with tempfile.TemporaryDirectory(dir=GUEST) as scratch:
        root = Path(scratch)
        for name in SOURCES:
            copy = place(root, ROOT / name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
            else:
                shutil.copy2(ROOT / name, copy)
        (root / BINDS).write_text("".join(f"{ROOT / name}\n" for name in SOURCES))
        try:
            make_image(root, image, GUEST / "image.log")
        except SetupFailed as e:
            raise GuestFailed(str(e)) from e


def _guest_command(sources: Path) -> list[str]:
    kernel = kernel_image()
    if kernel is None or not VIRTME.is_dir():
        raise GuestFailed("there is no guest yet: python3 -m tools.prepare guest")
    disks = [
        word
        for image in (PYTHON_IMAGE, sources)
        for word in ("-q=-drive", f"-q=if=virtio,format=raw,readonly=on,file={str(image).replace(',', ',,')}")
    ]
    inside = shlex.join(["sh", str(INSIDE), str(RESULTS)])
    return [
        sys.executable, "-m", "virtme.commands.run", "--kimg", str(kernel), "--mods", "auto",
        "--disable-kvm", "--disable-microvm", "--force-9p", "--user", "root", "--show-boot-console",
        "--cpus", "2", "--memory", "2G", "--numa", f"{NODE},cpus=0", "--numa", f"{NODE},cpus=1",
        *(f"--overlay-rwdir={path}" for path in THROWN_AWAY), "--rwdir", str(RESULTS), *disks,
        "-a", "lsm=landlock,lockdown,yama,integrity,apparmor,bpf", "-a", "psi=1", "-a", "mitigations=off",
        "--script-sh", inside,
    ]  # fmt: skip


def _run(command: Sequence[str], deadline: float, timeout_sec: float) -> None:
    # The console must be a pipe: into a plain file the guest writes at an offset of its own.
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(VIRTME), "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    with (RESULTS / "console").open("wb") as console, (RESULTS / "log").open(errors="replace") as log:
        try:
            while process.poll() is None:
                console.write(process.stdout.read() or b"")
                _show(log)
                if time.monotonic() > deadline:
                    raise GuestFailed(
                        f"no result within {timeout_sec:.0f} s; it was stopped ({_last_words()})"
                    )
                time.sleep(_POLL_SEC)
            console.write(process.stdout.read() or b"")
        finally:
            _stop(process)
            process.stdout.close()
        _show(log)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the emulator too, which is the other process of the group and may take longer."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_GRACE_SEC)


def _show(log: TextIO) -> None:
    if text := log.read():
        print(text, end="", flush=True)


def _status() -> int:
    try:
        return int((RESULTS / "status").read_text())
    except (FileNotFoundError, ValueError) as e:
        raise GuestFailed(f"it ended without a result ({_last_words()})") from e


def _last_words() -> str:
    """The last line of the output, or of the console where there is none, and the file to look in."""
    for name in ("log", "console"):
        text = (RESULTS / name).read_text(errors="replace")
        lines = ["".join(c for c in line if c.isprintable()).strip() for line in text.splitlines()]
        if said := [line for line in lines if line]:
            return f"last said: {said[-1][:120]!r}, see {(RESULTS / name).relative_to(ROOT)}"
    return "it never said anything"


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One guest at a time per checkout: there is one place for its results."""
    GUEST.mkdir(parents=True, exist_ok=True)
    with (GUEST / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
