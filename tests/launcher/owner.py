"""A stand-in for the daemon that can be killed: starts the containers it is given on standard input, then
waits.
"""

import json
import sys
import time
from typing import Any

from cgroupfs import Hierarchies
from launcher import ContainerSpec, Launcher, Spawner
from launcher.network import NetworkConfig


def main() -> None:
    order = json.load(sys.stdin)
    spawner = Spawner.start()
    launcher = Launcher(
        hierarchies=Hierarchies.read(),
        cgroup_parent=order["cgroup_parent"],
        run_dir=order["run_dir"],
        state_dir=order["state_dir"],
        spawner=spawner,
        on_event=lambda _event: None,
        record_limits=lambda _spec, _written, _phase: None,
        network=NetworkConfig(**order.get("network", {})),
    )
    launcher.adopt()
    for spec in order["specs"]:
        launcher.run(ContainerSpec.from_wire(spec))
    for verb, argument in order.get("verbs", ()):
        _do(launcher, verb, argument)
    sys.stdout.write(f"{spawner.pid}\n")
    sys.stdout.flush()
    time.sleep(600)


def _do(launcher: Launcher, verb: str, argument: Any) -> None:
    """What it is told is said before, so that a death in it can be told from one after it."""
    sys.stdout.write(f"{verb}\n")
    sys.stdout.flush()
    if verb in ("run", "create"):
        getattr(launcher, verb)(ContainerSpec.from_wire(argument))
    elif verb == "remove":
        launcher.remove(argument, force=True)
    elif verb == "close":
        launcher.close()
    else:
        getattr(launcher, verb)(argument)


if __name__ == "__main__":
    main()
