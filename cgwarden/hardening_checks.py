"""What `doctor` finds of the kernel's own defences: what grsecurity and PaX gave, as mainline has it today.

Of each: on, off or absent here, and what it costs to be without. None of them is needed to run; a container's
own walls (capabilities, filter, masks) do not count on them. Sources: Documentation/admin-guide/sysctl, the
Kernel Self-Protection Project's recommended settings.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from cgwarden.checks import Check, make_check

LIBSECCOMP: Final = "libseccomp.so.2"
PR_GET_MDWE: Final = 66
LANDLOCK_CREATE_RULESET: Final = 444
LANDLOCK_VERSION: Final = 1
_CONFIG_BYTES: Final = 1 << 20


class Kernel:
    """Where the answers are read; each is None where this kernel, or this user, has none."""

    def __init__(self, root: str = "/") -> None:
        self._root = Path(root)
        self._options: dict[str, str] | None = None

    def number(self, sysctl: str) -> int | None:
        text = self.text(f"proc/sys/{sysctl}")
        return int(text.split()[0]) if text is not None and text.split()[0].lstrip("-").isdigit() else None

    def text(self, path: str) -> str | None:
        try:
            return (self._root / path).read_text(encoding="utf-8", errors="replace").strip() or None
        except OSError:
            return None

    def built_with(self, option: str) -> bool | None:
        """A line of the kernel's configuration; None where none can be read."""
        if self._options is None:
            self._options = self._read_options()
        return self._options.get(f"CONFIG_{option}") in ("y", "m") if self._options else None

    def has_flag(self, flag: str) -> bool:
        """A feature of the processor that the kernel uses."""
        return (
            re.search(rf"^flags\s*:.*\b{flag}\b", self.text("proc/cpuinfo") or "", re.MULTILINE) is not None
        )

    def _read_options(self) -> dict[str, str]:
        release = os.uname().release
        try:
            packed = (self._root / "proc/config.gz").read_bytes()
            text = zlib.decompressobj(31).decompress(packed, _CONFIG_BYTES).decode(errors="replace")
        except (OSError, zlib.error):
            text = self.text(f"boot/config-{release}") or self.text(f"lib/modules/{release}/config") or ""
        return dict(line.split("=", 1) for line in text.splitlines() if line.startswith("CONFIG_"))


class Defence(NamedTuple):
    """`look` answers with what was found, good or not: (is it on, in which words)."""

    name: str
    gave: str
    look: Callable[[Kernel], tuple[bool | None, str]]
    cost: str
    advice: str = ""


def check_hardening(kernel: Kernel | None = None) -> list[Check]:
    """One line for each; `state` is on, off or unknown, and never counts against the host."""
    kernel = kernel or Kernel()
    return [_line(defence, *defence.look(kernel)) for defence in DEFENCES]


def _line(defence: Defence, is_on: bool | None, found: str) -> Check:
    state = "unknown" if is_on is None else "on" if is_on else "off"
    detail = found if is_on else f"{found}: {defence.cost}"
    advice = "" if is_on else defence.advice
    return make_check(defence.name, state, f"{detail} [{defence.gave}]", advice, "hardening")


def _at_least(sysctl: str, least: int) -> Callable[[Kernel], tuple[bool | None, str]]:
    def look(kernel: Kernel) -> tuple[bool | None, str]:
        value = kernel.number(sysctl)
        key = sysctl.replace("/", ".")
        return (False, f"no {key}") if value is None else (value >= least, f"{key}={value}")

    return look


def _zero(sysctl: str) -> Callable[[Kernel], tuple[bool | None, str]]:
    def look(kernel: Kernel) -> tuple[bool | None, str]:
        value = kernel.number(sysctl)
        key = sysctl.replace("/", ".")
        return (False, f"no {key}") if value is None else (value == 0, f"{key}={value}")

    return look


def _built(*options: str) -> Callable[[Kernel], tuple[bool | None, str]]:
    """All of them, by the kernel's configuration."""

    def look(kernel: Kernel) -> tuple[bool | None, str]:
        found = {option: kernel.built_with(option) for option in options}
        if None in found.values():
            return None, "the kernel's configuration cannot be read"
        lacking = [option for option, there in found.items() if not there]
        return (False, f"built without {', '.join(lacking)}") if lacking else (True, ", ".join(options))

    return look


def _all(*looks: Callable[[Kernel], tuple[bool | None, str]]) -> Callable[[Kernel], tuple[bool | None, str]]:
    """Every one of these; told are those that fail, or all."""

    def look(kernel: Kernel) -> tuple[bool | None, str]:
        found = [one(kernel) for one in looks]
        bad = [words for is_on, words in found if not is_on]
        return not bad, ", ".join(bad or [words for _is_on, words in found])

    return look


def _processor(kernel: Kernel) -> tuple[bool | None, str]:
    """SMEP, SMAP, and page tables apart where the processor leaks them."""
    if os.uname().machine != "x86_64":
        return None, "x86 alone tells"
    lacking = [flag for flag in ("smep", "smap") if not kernel.has_flag(flag)]
    meltdown = kernel.text("sys/devices/system/cpu/vulnerabilities/meltdown") or "unknown"
    if meltdown.startswith("Vulnerable"):
        lacking.append("page table isolation")
    return (False, f"no {', '.join(lacking)}") if lacking else (True, f"smep, smap, meltdown: {meltdown}")


def _mdwe(_kernel: Kernel) -> tuple[bool | None, str]:
    zero = ctypes.c_ulong(0)
    there = ctypes.CDLL(None).prctl(ctypes.c_int(PR_GET_MDWE), zero, zero, zero, zero) >= 0
    return there, "PR_SET_MDWE, by --security-opt mdwe" if there else "no PR_SET_MDWE"


def _landlock(_kernel: Kernel) -> tuple[bool | None, str]:
    libc = ctypes.CDLL(None)
    null, size, flags = ctypes.c_void_p(None), ctypes.c_size_t(0), ctypes.c_uint(LANDLOCK_VERSION)
    version = int(libc.syscall(ctypes.c_long(LANDLOCK_CREATE_RULESET), null, size, flags))
    return version > 0, f"Landlock, interface {version}, open to programs" if version > 0 else "no Landlock"


def _lockdown(kernel: Kernel) -> tuple[bool | None, str]:
    text = kernel.text("sys/kernel/security/lockdown")
    chosen = re.search(r"\[(\w+)\]", text or "")
    if chosen is None:
        return False, "no lockdown"
    return chosen[1] != "none", f"lockdown={chosen[1]}"


def _modules(kernel: Kernel) -> tuple[bool | None, str]:
    if kernel.text("proc/filesystems") and kernel.text("proc/modules") is None:
        return True, "this kernel loads no modules"
    return _at_least("kernel/modules_disabled", 1)(kernel)


def _filter(_kernel: Kernel) -> tuple[bool | None, str]:
    try:
        ctypes.CDLL(LIBSECCOMP)
    except OSError:
        return False, f"no {LIBSECCOMP}"
    return True, "pivot_root, namespaces, capabilities, a seccomp filter in each container"


def _module(kernel: Kernel) -> tuple[bool | None, str]:
    """A module that confines by name."""
    if kernel.text("sys/module/apparmor/parameters/enabled") == "Y":
        path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        if shutil.which("apparmor_parser", path=path) is None:
            return False, "AppArmor, but no apparmor_parser"
        if kernel.text("sys/kernel/security/apparmor/profiles") is None:
            return False, "AppArmor, but no securityfs to load profiles by"
        return True, "AppArmor, profile cgwarden-default"
    if "selinuxfs" in (kernel.text("proc/filesystems") or "").split():
        return True, "SELinux, by --security-opt label=LABEL"
    return False, "neither AppArmor nor SELinux"


DEFENCES: Final = (
    Defence("w^x", "NOEXEC, MPROTECT", _mdwe, "a program may turn its data into code", "Linux 6.3 or newer"),
    Defence(
        "aslr",
        "ASLR, RANDKSTACK",
        _all(
            _at_least("kernel/randomize_va_space", 2),
            _built("RANDOMIZE_BASE", "RANDOMIZE_KSTACK_OFFSET_DEFAULT"),
        ),
        "addresses can be guessed",
        "kernel.randomize_va_space=2; boot with randomize_kstack_offset=on",
    ),
    Defence("user pages", "UDEREF, KERNEXEC", _processor, "the kernel can be led to a program's own pages"),
    Defence(
        "memory checks",
        "USERCOPY, SANITIZE, STACKLEAK",
        _built("HARDENED_USERCOPY", "INIT_ON_ALLOC_DEFAULT_ON", "SLAB_FREELIST_HARDENED"),
        "a flaw in the kernel is easier to use",
        "boot with init_on_alloc=1",
    ),
    Defence(
        "oops limit",
        "BRUTE",
        _all(_at_least("kernel/oops_limit", 1), _at_least("kernel/warn_limit", 1)),
        "a flaw may be tried again without end",
        "kernel.oops_limit=100, kernel.warn_limit=100",
    ),
    Defence(
        "jail",
        "CHROOT_*",
        _filter,
        "containers start with --security-opt seccomp=unconfined only",
        "apt install libseccomp2",
    ),
    Defence(
        "hidden addresses",
        "HIDESYM, DMESG",
        _all(_at_least("kernel/kptr_restrict", 1), _at_least("kernel/dmesg_restrict", 1)),
        "addresses of the kernel show in files",
        "kernel.kptr_restrict=1, kernel.dmesg_restrict=1",
    ),
    Defence(
        "kernel memory",
        "KMEM, IO",
        _all(_lockdown, _built("STRICT_DEVMEM")),
        "root outside containers can change the kernel",
        "boot with lockdown=integrity",
    ),
    Defence(
        "modules",
        "MODHARDEN",
        _modules,
        "root outside containers can load any module",
        "kernel.modules_disabled=1, after all are loaded",
    ),
    Defence(
        "tracing",
        "HARDEN_PTRACE",
        _at_least("kernel/yama/ptrace_scope", 1),
        "a program may trace any other of its user in the same container",
        "boot with lsm=…,yama; kernel.yama.ptrace_scope=1",
    ),
    Defence(
        "terminals",
        "HARDEN_TTY",
        _zero("dev/tty/legacy_tiocsti"),
        "programs can type into a terminal that they share",
        "dev.tty.legacy_tiocsti=0 (Linux 6.2)",
    ),
    Defence(
        "links",
        "LINK, FIFO",
        _all(
            *(
                _at_least(f"fs/protected_{what}", least)
                for what, least in (("symlinks", 1), ("hardlinks", 1), ("fifos", 1), ("regular", 1))
            )
        ),
        "traps in directories that all may write to",
        "fs.protected_symlinks=1 and its like",
    ),
    Defence("execution", "TPE", _landlock, "a program cannot give up rights to files by itself"),
    Defence(
        "bpf",
        "BPF_HARDEN, PERF_HARDEN",
        _all(
            _at_least("kernel/unprivileged_bpf_disabled", 1),
            _at_least("net/core/bpf_jit_harden", 1),
            _at_least("kernel/perf_event_paranoid", 2),
        ),
        "ordinary users outside containers reach much of the kernel",
        "kernel.unprivileged_bpf_disabled=1, net.core.bpf_jit_harden=2, kernel.perf_event_paranoid=3",
    ),
    Defence(
        "rbac",
        "RBAC",
        _module,
        "one layer fewer behind capabilities and filter",
        "boot with AppArmor; apt install apparmor",
    ),
)
