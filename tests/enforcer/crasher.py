"""A daemon in miniature, to be killed in the middle of a change: `crasher.py RUN_DIR CGROUP VERB`."""

from __future__ import annotations

import sys
from types import SimpleNamespace

from cgroupfs import Hierarchies
from enforcer import Enforcer, Guardian, Journal

MIB = 2**20
WISH = {"memory_max_bytes": 64 * MIB, "cpu_max_cores": 0.5, "pids_max": 50}
LEASE_SEC = 3.0


def main(run_dir: str, path: str, verb: str) -> None:
    hierarchies = Hierarchies.read()
    box = SimpleNamespace(
        name="web", cgroup=hierarchies.cgroup(path), labels={}, klass="burstable", started_at=None
    )
    guardian = Guardian.start(run_dir)
    enforcer = Enforcer(
        hierarchies=hierarchies,
        find={"web": box}.__getitem__,
        journal=Journal(f"{run_dir}/journal.db"),
        emit=lambda type, **facts: None,
        guardian=guardian,
    )
    enforcer.recover()
    match verb:
        case "limit":
            enforcer.set_limits("web", WISH, reason="crash test")
        case "lease":
            enforcer.set_limits("web", WISH, reason="crash test", lease_sec=LEASE_SEC)
        case "freeze":
            enforcer.freeze("web", reason="crash test")
        case "policy-freeze":
            enforcer.freeze("web", owner="policy:p", reason="crash test", lease_sec=LEASE_SEC)
        case "thaw":
            enforcer.thaw("web")
    sys.stdout.write("done\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
