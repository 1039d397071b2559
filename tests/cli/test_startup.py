"""What a hot verb loads: scripts call these in loops, and each module below would be felt."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.stub import Stub, container

ROOT = Path(__file__).resolve().parents[2]
HOT = [
    "freeze web",
    "thaw web",
    "limit web --memory 64M",
    "limit web",
    "ps",
    "ps --json",
    "stats --no-stream",
    "kill web",
]
TOO_SLOW = {
    "argparse",
    "asyncio",
    "cgroupfs",
    "collections",
    "contextlib",
    "dataclasses",
    "datetime",
    "enforcer",
    "enum",
    "fastapi",
    "functools",
    "http.client",
    "importlib.metadata",
    "inspect",
    "launcher",
    "logging",
    "monitor",
    "pathlib",
    "psutil",
    "re",
    "socket",
    "subprocess",
    "typing",
    "urllib.parse",
    "uvicorn",
    "web",
}
REPORT = """
import sys
from cgwarden.cli import main
code = main(sys.argv[1:])
sys.stdout.flush()
print(code, *sorted(sys.modules), sep="\\n", file=sys.stderr)
"""


def canned(stub: Stub) -> None:
    stub.on("GET /api/v1/containers", {"containers": [container("web")]})
    frozen = {"name": "web", "changed": True, "state": "frozen", "holders": ["operator"], "decision": None}
    stub.on("POST /api/v1/containers/web/freeze", frozen)
    stub.on("POST /api/v1/containers/web/thaw", frozen | {"state": "running", "holders": []})
    stub.on("POST /api/v1/containers/web/kill", {"changed": True, "state": "running"})
    field = {"value": 64 << 20, "owner": "spec", "baseline": None, "expires_at": None}
    stub.on("GET /api/v1/containers/web/limits", {"fields": {"memory_max_bytes": field}, "revision": "1"})
    outcome = {
        "name": "web",
        "changed": False,
        "status": "unchanged",
        "decision": None,
        "writes": [],
        "limits": {},
    }
    stub.on("PATCH /api/v1/containers/web/limits", outcome)


@pytest.mark.parametrize("command", HOT)
def test_a_hot_verb_loads_nothing_that_would_be_felt(command: str, stub: Stub) -> None:
    canned(stub)

    # -S: what a site-packages .pth file loads is not ours.
    done = subprocess.run(
        [sys.executable, "-S", "-c", REPORT, *command.split()],
        cwd=ROOT,
        env={"CGWARDEN_HOST": stub.host, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    code, *loaded = done.stderr.splitlines()
    assert code == "0"
    # What prints a document has it indented, or with letters as they are, by the package json.
    allowed = {"collections", "enum", "functools", "re"} if "--json" in command else set()
    assert TOO_SLOW & set(loaded) - allowed == set()
    assert len([name for name in loaded if name.startswith("cgwarden")]) <= 15


def test_importing_the_entry_point_imports_nothing_else() -> None:
    script = "import sys; before = set(sys.modules); import cgwarden.cli; print(*(set(sys.modules) - before))"

    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )

    assert set(done.stdout.decode().split()) <= {"cgwarden", "cgwarden.cli", "__future__"}
