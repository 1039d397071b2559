"""A daemon that is killed with -9 at a named step, by a failpoint, while it does what a test orders."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.launcher.conftest import Place

REPOSITORY: Final = Path(__file__).parents[2]


def order_for(place: Place, verbs: Sequence[tuple[str, object]], **more: object) -> dict[str, Any]:
    """What `owner` reads: where to live, and the verbs to do, in turn."""
    where = {
        "cgroup_parent": place.cgroup_parent,
        "run_dir": str(place.run_dir),
        "state_dir": str(place.state_dir),
    }
    return {**where, "specs": [], "verbs": list(verbs), **more}


def failing_at(step: str, how: str) -> dict[str, str]:
    """The environment in which whoever passes the step is killed, or fails."""
    return {**os.environ, "CGWARDEN_TEST_MODE": "1", "CGWARDEN_FAILPOINT": f"{step}:{how}"}


def killed_at(step: str, order: Mapping[str, Any], how: str = "kill") -> str:
    """The last thing that daemon said, when everybody of its is dead but the supervisors: the verb that was
    begun, or a number where it came to the end of its order.

    `how` may be `delay=MS` instead: then it is killed at the end of its order.
    """
    owner = subprocess.Popen(
        [sys.executable, "-m", "tests.launcher.owner"],
        cwd=REPOSITORY,
        env=failing_at(step, how),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert owner.stdin is not None and owner.stdout is not None
    owner.stdin.write(json.dumps(order))
    owner.stdin.close()
    said: list[str] = []
    for line in owner.stdout:
        said.append(line.strip())
        if said[-1].isdigit():
            break
    owner.kill()
    owner.wait()
    owner.stdout.close()
    return said[-1]
