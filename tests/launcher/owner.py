"""A stand-in for the daemon that can be killed: starts the containers it is given on standard input, then
waits.
"""

import json
import sys
import time

from cgroupfs import Hierarchies
from launcher import ContainerSpec, Launcher, Spawner


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
    )
    launcher.adopt()
    for spec in order["specs"]:
        launcher.run(ContainerSpec.from_wire(spec))
    sys.stdout.write(f"{spawner.pid}\n")
    sys.stdout.flush()
    time.sleep(600)


if __name__ == "__main__":
    main()
