"""From what a spec asks for to what this kernel can do about it: filters compiled, profiles loaded, or a
clear no.

Runs in the daemon, before anything of a container is made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from launcher import syscalls
from launcher.apparmor import AppArmor
from launcher.errors import BadSpec
from launcher.scene import capabilities
from launcher.scene.confinement import Confinement
from launcher.seccomp import Filters
from launcher.spec import ContainerSpec

FILE_SYSTEMS: Final = Path("/proc/filesystems")


class Confiner:
    """Made once for a daemon; keeps what it compiled."""

    def __init__(self, state_dir: str) -> None:
        self._filters = Filters(f"{state_dir}/seccomp")
        self._apparmor = AppArmor()
        self._own = syscalls.capget_permitted()

    def confine(self, spec: ContainerSpec) -> Confinement:
        """Raises `BadSpec` with the field that cannot be had here; nothing asked for is ever left out."""
        self._check_capabilities(spec)
        if spec.mdwe and not has_mdwe():
            raise BadSpec("mdwe", "this host's kernel cannot refuse it: PR_SET_MDWE came with Linux 6.3")
        if spec.selinux and not has_selinux():
            raise BadSpec("selinux", "this host's kernel has no SELinux, or runs without it")
        held = capabilities.plan_capabilities(spec.cap_add, spec.cap_drop)
        program, flags = self._filters.program(spec.seccomp, held)
        return Confinement(
            seccomp=program,
            seccomp_flags=flags,
            apparmor=self._apparmor.choose(spec.apparmor),
            selinux=spec.selinux,
            mdwe=spec.mdwe,
        )

    def _check_capabilities(self, spec: ContainerSpec) -> None:
        for name in spec.cap_add:
            if name != "ALL" and not self._own >> capabilities.NUMBERS[name] & 1:
                raise BadSpec("cap_add", f"{name} cannot be given: cgwarden itself does not have it here")


def has_mdwe() -> bool:
    """Memory-deny-write-execute (since Linux commit b507808ebce2, in v6.3)."""
    try:
        syscalls.prctl(syscalls.PR_GET_MDWE)
    except OSError:
        return False
    return True


def has_selinux() -> bool:
    """Its file system is registered only where it is switched on."""
    return "selinuxfs" in FILE_SYSTEMS.read_text(encoding="ascii").split()
