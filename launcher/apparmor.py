"""AppArmor, in the daemon: whether the kernel has it, which profiles are loaded, and a default profile of
our own.

The profile repeats what mounts and the seccomp filter refuse already, so that one of them may fail. It is
loaded with the distribution's apparmor_parser when the first container needs it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Final

from launcher.errors import BadSpec, LaunchFailed

DEFAULT_PROFILE: Final = "cgwarden-default"
UNCONFINED: Final = "unconfined"
PARSER: Final = "apparmor_parser"
ENABLED: Final = Path("/sys/module/apparmor/parameters/enabled")
LOADED: Final = Path("/sys/kernel/security/apparmor/profiles")
REPLACE: Final = Path("/sys/kernel/security/apparmor/.replace")
OWN_LABEL: Final = (Path("/proc/self/attr/apparmor/current"), Path("/proc/self/attr/current"))
_PARSER_SEC: Final = 60.0

# A link in /proc (self, thread-self) is resolved before the rule is asked: what does not begin with a digit
# belongs to the kernel, not to a process.
_TEXT: Final = """\
profile {name} flags=(attach_disconnected,mediate_deleted) {{
  file,
  network,
  unix,
  capability,
  umount,
  signal (receive) peer={starter},
  signal (send,receive) peer={name},
  ptrace (trace,read,tracedby,readby) peer={name},

  deny mount,
  deny /proc/[^1-9]* wkl,
  deny /proc/[^1-9]*/** wkl,
  deny /proc/sysrq-trigger rwklx,
  deny /proc/kcore rwklx,
  deny /proc/keys rwklx,
  deny /sys/** wkl,
  deny /sys/firmware/** rwklx,
  deny /sys/kernel/security/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
}}
"""


class AppArmor:
    """Which profile a container gets; safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._default_is_loaded = False

    def choose(self, wish: str) -> str:
        """The profile for a spec's `apparmor` field, loaded; empty: the container keeps the daemon's own.

        Raises:
            BadSpec: asked for and not there.
            LaunchFailed: our own profile was refused.
        """
        if self._default_is_loaded and wish in ("", DEFAULT_PROFILE):
            return DEFAULT_PROFILE
        if wish == UNCONFINED or (not wish and not can_load()):
            return ""
        if not is_enabled():
            raise BadSpec("apparmor", "this host's kernel has no AppArmor")
        if wish in ("", DEFAULT_PROFILE):
            self._load_default()
            return DEFAULT_PROFILE
        loaded = read_loaded()
        if loaded is not None and wish not in loaded:
            raise BadSpec(
                "apparmor", f"no profile {wish!r} is loaded on this host: load it with {PARSER} -r FILE"
            )
        return wish

    def _load_default(self) -> None:
        with self._lock:
            if not self._default_is_loaded:
                load(write_profile(DEFAULT_PROFILE, _read_own_label()))
                self._default_is_loaded = True


def is_enabled() -> bool:
    """The module is in the kernel and was not switched off at boot."""
    try:
        return ENABLED.read_text(encoding="ascii").strip() == "Y"
    except OSError:
        return False


def can_load() -> bool:
    """Enabled, with the program that loads profiles and the file it loads them by (not so in most pods)."""
    return is_enabled() and find_parser() is not None and os.access(REPLACE, os.W_OK)


def find_parser() -> str | None:
    """Distributions keep it where ordinary users do not look."""
    return shutil.which(PARSER) or shutil.which(PARSER, path="/usr/sbin:/sbin")


def read_loaded() -> frozenset[str] | None:
    """Names of the profiles; None where securityfs is not mounted or not for us."""
    try:
        text = LOADED.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return frozenset(line.rpartition(" (")[0] for line in text.splitlines())


def write_profile(name: str, starter: str) -> str:
    """Our default profile; processes labelled `starter` may send signals into it."""
    return _TEXT.format(name=name, starter=starter)


def load(text: str) -> None:
    """Add or replace the profiles of a text."""
    parser = find_parser()
    if parser is None:
        raise LaunchFailed("load the AppArmor profile", f"{PARSER} is not on this host: install apparmor")
    command = [parser, "--replace", "--skip-cache", "--quiet"]
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, check=False, timeout=_PARSER_SEC
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it did not say why"]
        raise LaunchFailed("load the AppArmor profile", f"{PARSER}: {said[-1]}")


def _read_own_label() -> str:
    """Ours without its mode: the supervisor, which sends the signals, has it too."""
    for path in OWN_LABEL:
        try:
            return path.read_text(encoding="ascii").strip().rpartition(" (")[0] or UNCONFINED
        except OSError:
            continue
    return UNCONFINED
