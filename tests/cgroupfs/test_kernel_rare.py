"""What few hosts use, where the guest's kernel has it: the cost model of io, handles of an rdma device."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from cgroupfs import UNLIMITED, BadLimit, Cgroup, ControlDir, Hierarchies, NotOffered
from cgroupfs.io_cost import read_io_cost
from tests.cgroupfs.conftest import Start

pytestmark = pytest.mark.kernel

MIB: Final = 1 << 20
DEVICE: Final = "cgwrxe0"
LINK: Final = "cgwtest-rdma"
# Past the page cache, to the second partition of the guest's disk, which nothing else uses.
WRITE: Final = (
    "import mmap, os\n"
    "disk = os.open('/dev/sda2', os.O_WRONLY | os.O_DIRECT)\n"
    "held = mmap.mmap(-1, 1 << 20); held.write(b'x' * (1 << 20))\n"
    "os.write(disk, held); os.close(disk)\n"
    "print('ready', flush=True); input()\n"
)


@pytest.fixture
def costed(hierarchies: Hierarchies) -> Iterator[str]:
    """A disk whose time is shared by cost, with the model's own statistics, by its numbers."""
    disk = Path("/sys/block/sda/dev").read_text().strip()
    qos = Path(hierarchies.places["unified"].mounted_at, "io.cost.qos")
    debug = Path("/sys/module/blk_cgroup/parameters/blkcg_debug_stats")
    before = debug.read_text()
    with contextlib.ExitStack() as undo:
        qos.write_text(f"{disk} enable=1\n")
        undo.callback(qos.write_text, f"{disk} enable=0\n")
        debug.write_text("1")
        undo.callback(debug.write_text, before)
        yield disk


@pytest.mark.needs("blkio", "v2")
def test_the_weight_of_the_cost_model_is_set_and_its_statistics_are_read(
    costed: str, hierarchies: Hierarchies, real: Cgroup, start: Start
) -> None:
    written = real.apply(real.plan_limits({"io_weight": 300}))

    start(real, WRITE)

    with contextlib.closing(ControlDir.open(hierarchies.places["unified"].mounted_at)) as top:
        assert {disk: cost.enabled for disk, cost in (read_io_cost(top) or {}).items()} == {costed: True}

    assert [(write.file, write.read_back) for write in written] == [("io.weight", "300")]
    assert real.read_limits().io_weight == 300
    io = real.hot().read().io
    assert io is not None
    assert {device.device: device.write_bytes for device in io.devices}[costed] == MIB
    waited = real.readers.blkio.read_details(real.dirs).wait_usec
    assert waited is not None
    assert set(waited) == {costed}


@pytest.mark.needs("blkio", "v2")
def test_a_weight_of_the_cost_model_beyond_its_bounds_is_refused_before_any_write(real: Cgroup) -> None:
    with pytest.raises(BadLimit, match="outside 1 to 10000"):
        real.plan_limits({"io_weight": 10_001})


@pytest.mark.needs("blkio", "v2")
def test_a_latency_target_is_kept_or_not_offered(real: Cgroup) -> None:
    disk = Path("/sys/block/sda/dev").read_text().strip()
    wish = {"io_latency_usec": {disk: 5000}}

    if real.read_limits().io_latency_usec is None:  # Debian builds its kernels without
        with pytest.raises(NotOffered, match=r"io\.latency"):
            real.plan_limits(wish)
    else:
        real.apply(real.plan_limits(wish))
        assert real.read_limits().io_latency_usec == {disk: 5000}


@pytest.mark.needs("misc", "v2")
def test_a_host_without_scarce_resources_has_none_to_limit(real: Cgroup) -> None:
    limits = real.read_limits().misc_max

    assert limits is not None
    with pytest.raises(BadLimit, match=f"'unicorns' is not here; there are {', '.join(limits) or 'none'}"):
        real.plan_limits({"misc_max": {"unicorns": 1}})


@pytest.fixture
def rdma() -> Iterator[str]:
    """An rdma device without hardware, over a link of its own."""
    with contextlib.ExitStack() as undo:
        run("modprobe", "-a", "dummy", "rdma_rxe")
        run("ip", "link", "add", LINK, "type", "dummy")
        undo.callback(run, "ip", "link", "delete", LINK)
        run("ip", "link", "set", LINK, "up")
        run("rdma", "link", "add", DEVICE, "type", "rxe", "netdev", LINK)
        undo.callback(run, "rdma", "link", "delete", DEVICE)
        yield DEVICE


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


@pytest.mark.needs("rdma", "v2")
def test_handles_of_an_rdma_device_are_limited_and_lifted(rdma: str, real: Cgroup) -> None:
    none = {"hca_handle": UNLIMITED, "hca_object": UNLIMITED}
    assert real.read_limits().rdma_max == {rdma: none}

    written = real.apply(real.plan_limits({"rdma_max": {rdma: {"hca_handle": 2, "hca_object": 2000}}}))

    assert [write.read_back for write in written] == [f"{rdma} hca_handle=2 hca_object=2000"]
    assert real.read_limits().rdma_max == {rdma: {"hca_handle": 2, "hca_object": 2000}}
    assert real.read_all()["rdma"] == {
        "current": {rdma: {"hca_handle": 0, "hca_object": 0}},
        "rdma_max": {rdma: {"hca_handle": 2, "hca_object": 2000}},
    }
    real.apply(real.plan_limits({"rdma_max": None}))
    assert real.read_limits().rdma_max == {rdma: none}
