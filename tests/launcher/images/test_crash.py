"""kill -9 in the middle of an import: the next daemon sweeps what is half, and keeps what is whole."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.errors import LauncherError
from launcher.failpoints import STEPS
from launcher.images import ImageStore
from launcher.images.importing import import_image
from tests.launcher.images.archives import Layout, digest, file, layer

pytestmark = pytest.mark.kernel
PATIENCE_SEC = 30.0
LAYERS = [layer(*(file(f"{name}{number}", os.urandom(2000)) for number in range(300))) for name in "ab"]
IMPORT = """
import sys
from launcher.images import ImageStore
from launcher.images.importing import import_image
from launcher.images.importing import import_image
import_image(ImageStore(sys.argv[1]), sys.argv[2])
"""
REMOVE = """
import sys
from launcher.images import ImageStore
ImageStore(sys.argv[1]).remove("tool:1")
"""


@pytest.mark.parametrize("step", [step for step in STEPS if step.startswith("image.")])
def test_an_import_that_dies_at_a_step_is_put_right(state_dir: Path, short_dir: Path, step: str) -> None:
    layout = Layout(short_dir / "oci")
    layout.add(layout.image(LAYERS), "tool:1")
    environment = os.environ | {"CGWARDEN_TEST_MODE": "1", "CGWARDEN_FAILPOINT": f"{step}:kill"}
    if step == "image.aside":
        import_image(ImageStore(str(state_dir)), str(layout.path))
    killed = subprocess.run(
        [sys.executable, "-c", REMOVE if step == "image.aside" else IMPORT, state_dir, layout.path],
        env=environment,
        check=False,
        timeout=PATIENCE_SEC,
    )
    assert killed.returncode == -signal.SIGKILL

    store = ImageStore(str(state_dir))
    store.layers.settle()

    assert [name for name in os.listdir(state_dir / "layers") if name.startswith(".")] == []
    assert [name for name in os.listdir(state_dir / "images") if name.startswith(".")] == []
    for diff_id in store.layers.all():
        store.layers.verify(diff_id)
    for image in store.images():
        assert store.verify(image.id) == image
    assert import_image(store, str(layout.path))[0].layers == tuple(map(digest, LAYERS))
    assert store.verify("tool:1").references == ("docker.io/library/tool:1",)


def test_the_worker_dies_with_the_daemon(state_dir: Path, short_dir: Path) -> None:
    """It reads from a pipe that nobody writes to, so that it cannot come to an end by itself."""
    program = (
        "import sys\nfrom launcher.images import ImageStore\n"
        "ImageStore(sys.argv[1]).add_layer(int(sys.argv[2]))"
    )
    read_end, write_end = os.pipe()
    daemon = subprocess.Popen(
        [sys.executable, "-c", program, str(state_dir), str(read_end)], pass_fds=(read_end,)
    )
    os.close(read_end)
    try:
        worker = _child_of(daemon.pid)
        daemon.kill()
        daemon.wait()
        _wait_for_end(worker)
    finally:
        os.close(write_end)

    ImageStore(str(state_dir)).layers.settle()

    assert os.listdir(state_dir / "layers") == []


def test_a_worker_that_is_killed_leaves_nothing_and_says_so(store: ImageStore) -> None:
    read_end, write_end = os.pipe()
    failed: list[str] = []

    def work() -> None:
        with pytest.raises(LauncherError) as e:
            store.add_layer(read_end)
        failed.append(str(e.value))

    thread = threading.Thread(target=work)
    thread.start()
    os.kill(_child_of(os.getpid()), signal.SIGKILL)
    thread.join(PATIENCE_SEC)
    os.close(read_end)
    os.close(write_end)

    assert failed == ["unpacking failed: it ended with -9"]
    assert os.listdir(f"{store.state_dir}/layers") == []


def test_the_worker_is_rooted_in_its_layer_and_has_few_rights(store: ImageStore) -> None:
    read_end, write_end = os.pipe()
    thread = threading.Thread(target=store.add_layer, args=(read_end,))
    thread.start()
    worker = _child_of(os.getpid())
    _wait_for(lambda: os.readlink(f"/proc/{worker}/root") != "/")
    _wait_for(lambda: "NoNewPrivs:\t1" in Path(f"/proc/{worker}/status").read_text())

    status = dict(line.split(":", 1) for line in Path(f"/proc/{worker}/status").read_text().splitlines())
    root = os.readlink(f"/proc/{worker}/root")
    limits = Path(f"/proc/{worker}/limits").read_text()
    os.close(write_end)
    thread.join(PATIENCE_SEC)
    os.close(read_end)

    assert root.startswith(f"{store.state_dir}/layers/.staging-") and root.endswith("/tree")
    assert (
        int(status["CapEff"], 16)
        == int(status["CapPrm"], 16)
        == sum(1 << n for n in (0, 1, 3, 4, 21, 27, 31))
    )
    assert re.search(r"Max address space +1073741824 +1073741824", limits)


def _child_of(pid: int) -> int:
    deadline = time.monotonic() + PATIENCE_SEC
    while time.monotonic() < deadline:
        for task in os.listdir(f"/proc/{pid}/task"):
            children = Path(f"/proc/{pid}/task/{task}/children").read_text().split()
            if children and b"images.worker" in Path(f"/proc/{children[0]}/cmdline").read_bytes():
                return int(children[0])
        time.sleep(0.01)
    raise AssertionError("no worker was started")


def _wait_for_end(pid: int) -> None:
    _wait_for(lambda: not os.path.exists(f"/proc/{pid}"))


def _wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SEC
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
