"""`diff` and `commit`: what they ask and print."""

from __future__ import annotations

import json

from tests.cli.conftest import Cli
from tests.cli.stub import Stub

CHANGES = [
    {"kind": "changed", "path": "/etc", "size_bytes": None},
    {"kind": "deleted", "path": "/etc/motd", "size_bytes": None},
    {"kind": "added", "path": "/odd\x1b[31m", "size_bytes": 4},
]


def test_diff_prints_a_letter_and_a_path_that_no_terminal_obeys(stub: Stub, cli: Cli) -> None:
    stub.on("GET /api/v1/containers/web/diff", {"changes": CHANGES})

    assert cli("diff", "web").out.splitlines() == ["C /etc", "D /etc/motd", "A /odd?[31m"]
    assert json.loads(cli("diff", "--json", "web").out) == CHANGES


def test_commit_names_the_image_and_prints_its_id(stub: Stub, cli: Cli) -> None:
    image = {"id": "sha256:" + "ab" * 32, "references": ["docker.io/library/web:2"]}
    stub.on("POST /api/v1/containers/web/commit", image)

    assert cli("commit", "web", "web:2").out == f"{image['id']}\n"
    assert stub.asked[-1].body == {"reference": "web:2"}
    assert json.loads(cli("commit", "--json", "web", "web:2").out) == image
