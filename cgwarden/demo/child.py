"""The demo's own daemon, as a child process: started, waited for, asked, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from cgwarden.client import Daemon, NoDaemon, Problem
from cgwarden.demo.place import CGROUP_PARENT, DemoRefused, Place, wait_until

POLICIES = Path(__file__).parent / "policies"
_START_SEC = 30.0
_STOP_SEC = 30.0


class Child:
    """A running `cgwarden serve` whose directories, port and policies are the demo's."""

    def __init__(self, place: Place, listen: str) -> None:
        self._place = place
        self.daemon = Daemon(place.host)
        argv = [
            sys.executable,
            "-m",
            "cgwarden",
            "serve",
            f"--run-dir={place.run_dir}",
            f"--state-dir={place.state_dir}",
        ]
        argv += [f"--listen={listen}", f"--cgroup-parent={CGROUP_PARENT}", f"--policy-dir={POLICIES}"]
        with place.log_path.open("ab") as log:
            # A session of its own: Ctrl-C is for the demo, which then ends everything in order.
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=_environment(),
            )

    def wait_ready(self) -> None:
        """Return when the daemon answers; DemoRefused with its last words when it does not."""
        if not wait_until(_START_SEC, lambda: self._process.poll() is not None or self._answers()):
            raise DemoRefused(
                f"the demo's daemon does not answer after {_START_SEC:.0f} s: {self.last_words()}"
            )
        if (code := self._process.poll()) is not None:
            raise DemoRefused(
                self.last_words() or f"the demo's daemon ended at once with status {code}", code or 1
            )

    def ended(self) -> bool:
        """Whether the daemon has gone away."""
        return self._process.poll() is not None

    def last_words(self) -> str:
        """The last line of the daemon's log."""
        lines = self._place.log_path.read_text(errors="replace").strip().splitlines()
        return lines[-1].removeprefix("cgwarden serve: ") if lines else ""

    def stop(self) -> None:
        """End the daemon, its helpers with it."""
        if not self.ended():
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SEC)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def remove_containers(self) -> list[str]:
        """Kill and remove every container, those of a former demo included; their names."""
        names = [one["name"] for one in self.daemon.get("/api/v1/containers")["containers"]]
        for name in names:
            self.daemon.call("DELETE", f"/api/v1/containers/{name}", query={"force": True})
        return names

    def _answers(self) -> bool:
        try:
            self.daemon.get("/api/v1/containers")
        except (NoDaemon, Problem, ValueError):
            return False
        return True


def _environment() -> dict[str, str]:
    """Ours without CGWARDEN_ variables, which would change what the demo's daemon does."""
    return {key: value for key, value in os.environ.items() if not key.startswith("CGWARDEN_")}
