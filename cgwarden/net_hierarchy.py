"""The daemon's own mount of ``net_cls`` and ``net_prio``: made where wanted, given back with the last group.

A mount is for the whole host and outlives us where containers do; so it stands at a place of its own in the
run directory, where the next daemon finds it, whether or not that one is told to mount.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Final

from cgroupfs import CgroupError, Hierarchies, Refused, net_mount

PLACE: Final = "net_cls,net_prio"


class NotHere(Exception):
    """This kernel has neither of the two; the text says what to do."""


class NetHierarchy:
    """What this daemon, or one before it with the same run directory, has mounted."""

    def __init__(self, run_dir: str) -> None:
        self.at = os.path.join(run_dir, PLACE)
        self._held: int | None = None

    def mount(self, hierarchies: Hierarchies) -> bool:
        """Mount those of the two that the kernel has and nobody shows us; whether there was one to mount.

        Raises:
            NotHere: the kernel has neither.
            CgroupError: it did not let us.
        """
        known = hierarchies.host.read_controllers()
        offered = [name for name in net_mount.CONTROLLERS if name in known]
        if not offered:
            raise NotHere("this kernel has neither net_cls nor net_prio: set `[cgroups] mount_net = false`")
        wanted = [name for name in offered if name not in hierarchies.places]
        if not wanted or os.path.ismount(self.at):
            return False
        net_mount.mount(self.at, wanted)
        return True

    def hold(self, hierarchies: Hierarchies) -> None:
        """Keep whoever mounted the marks that we use from taking them away under us (EBUSY)."""
        place = next((hierarchies.places[n] for n in net_mount.CONTROLLERS if n in hierarchies.places), None)
        if place is not None:
            self._held = os.open(place.mounted_at, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def release(self) -> str:
        """End our mount if nothing is in it any more; else why it stays, for the log. Takes some seconds."""
        if self._held is not None:
            os.close(self._held)
            self._held = None
        if not os.path.ismount(self.at):
            return ""
        try:
            net_mount.release(self.at, self._controllers())
        except Refused as error:  # containers outlive us
            why = error.why
        except (CgroupError, OSError) as error:
            in_use = isinstance(error, OSError) and error.errno == errno.EBUSY
            why = "another program uses it" if in_use else str(error)
        else:
            return ""
        return f"{self.at} stays mounted: {why}; the next daemon that ends without containers removes it"

    def _controllers(self) -> tuple[str, ...]:
        """Those that stand at our place."""
        with contextlib.suppress(CgroupError):
            places = Hierarchies.read().places
            return tuple(n for n in net_mount.CONTROLLERS if n in places and places[n].mounted_at == self.at)
        return net_mount.CONTROLLERS
