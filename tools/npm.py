"""``.venv/bin/python -m tools.npm ARG …``: npm in web/ui, on the Node that builds the dashboard."""

import os
import subprocess
import sys
from pathlib import Path

import hatch_build


def main(arguments: list[str]) -> int:
    """Run npm with `arguments`; its exit status, or 1 with one line where there is no Node."""
    try:
        command = hatch_build._npm()
    except hatch_build.UiBuildError as e:
        print(f"npm: {e}", file=sys.stderr)
        return 1
    # npm's scripts look for `node` on PATH: the one that runs npm must be the first found.
    first = [str(Path(command[0]).parent)] if os.path.isabs(command[0]) else []
    env = {**os.environ, "PATH": os.pathsep.join([*first, os.environ.get("PATH", "")])}
    return subprocess.run([*command, *arguments], cwd=hatch_build.UI, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
