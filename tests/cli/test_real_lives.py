"""Containers that are created, started, and started again by their policies, as scripts see it."""

import dataclasses
import json
import os
import signal
from collections.abc import Iterator

import pytest

from tests.cli.real import Running, running, wait_for

pytestmark = pytest.mark.kernel


@pytest.fixture
def daemon() -> Iterator[Running]:
    with running() as daemon:
        yield daemon


def test_a_container_is_created_started_restarted_and_started_again(daemon: Running) -> None:
    flags = ("--name", "t", "--rootfs", "/", "--memory", "64M", "--json", "--", "sleep", "60")
    made = json.loads(daemon.cli("create", *flags).stdout)

    assert (made["state"], made["pid"], made["spec_limits"]["memory_max_bytes"]) == (
        "created",
        None,
        64 << 20,
    )
    assert daemon.json("ps")[0]["state"] == "created"
    assert daemon.cli("create", "--name", "t", "--rootfs", "/", "--", "true").returncode == 4
    assert "create cgroup" in daemon.cli("create", "--rootfs", "/", "--dry-run", "--", "true").stdout
    assert daemon.cli("wait", "t").returncode == 4
    assert daemon.json("stop", "t") == {"name": "t", "changed": False, "state": "created", "exit_code": None}

    assert daemon.json("start", "t") == {"name": "t", "changed": True, "state": "running", "exit_code": None}
    assert daemon.json("start", "t")["changed"] is False
    first = daemon.json("inspect", "t")
    assert first["owners"]["memory_max_bytes"] == "spec"
    assert daemon.json("restart", "-t", "0", "t")["changed"] is True
    second = daemon.json("inspect", "t")
    assert (second["state"], second["limits"]["memory_max_bytes"]) == ("running", 64 << 20)
    assert second["pid"] != first["pid"]

    daemon.cli("stop", "-t", "0", "t")
    assert daemon.json("ps")[0]["exit_code"] == 137
    assert daemon.json("start", "t")["state"] == "running"
    assert daemon.cli("start", "nobody").returncode == 3


def test_restart_policies_are_seen_by_scripts(daemon: Running) -> None:
    script = "echo again; exit 3"
    daemon.run("t", "sh", "-c", script, flags=("--restart", "on-failure:2"))

    wait_for(lambda: "given up" in daemon.cli("events", "--container", "t").stdout)
    told = daemon.json("inspect", "t")
    assert (told["restart"], told["restart_count"], told["exit_code"]) == ("on-failure:2", 2, 3)
    assert daemon.cli("logs", "t").stdout == "again\n" * 3
    assert daemon.cli("run", "--rm", "--restart", "always", "--rootfs", "/", "--", "true").returncode == 2


def test_a_signal_and_a_death_for_want_of_memory_show_in_the_exit_status(daemon: Running) -> None:
    daemon.run("s", "sleep", "60")
    daemon.cli("kill", "-s", "KILL", "s")
    hog = ("python3", "-c", "b = bytearray(200 << 20)")
    daemon.run("o", *hog, flags=("--memory", "32M", "--memory-swap", "32M"))

    assert daemon.cli("wait", "s", "o").stdout.split() == ["137", "137"]
    by_name = {one["name"]: one for one in daemon.json("ps")}
    assert (by_name["s"]["signal"], by_name["s"]["oom_killed"]) == (9, False)
    assert (by_name["o"]["signal"], by_name["o"]["oom_killed"]) == (9, True)
    lines = daemon.cli("ps").stdout
    assert "exited (137)" in lines
    assert "oom-killed" in lines


def test_a_second_daemon_for_the_same_cgroup_parent_is_refused(daemon: Running) -> None:
    second = daemon.cli(
        "serve",
        f"--run-dir={daemon.directory}/other-run",
        f"--state-dir={daemon.directory}/other-state",
        "--listen=",
        f"--cgroup-parent={daemon.parent}",
        timeout=30,
    )

    assert second.returncode == 4
    assert (
        f"the cgroup parent {daemon.parent} belongs to a running daemon (pid {daemon.process.pid})"
        in second.stderr
    )


def test_an_address_that_cannot_be_meant_is_a_usage_error(daemon: Running) -> None:
    wrong = dataclasses.replace(daemon, host="bogus")

    done = wrong.cli("ps")

    assert done.returncode == 2
    assert done.stderr.startswith("cgwarden: CGWARDEN_HOST is 'bogus': it must look like unix:///")
    assert "cgwarden serve" not in done.stderr


def test_the_parents_lock_goes_with_the_daemon(daemon: Running) -> None:
    path = f"/run/lock/cgwarden/{daemon.parent}"
    assert os.path.exists(path)

    daemon.process.send_signal(signal.SIGTERM)
    daemon.process.wait(30)

    assert not os.path.exists(path)


def test_a_group_is_made_limited_filled_and_removed(daemon: Running) -> None:
    made = daemon.json("group", "create", "batch", "--cpus", "0.5", "--memory", "128M")

    assert (made["limits"]["memory_max_bytes"], made["limits"]["cpu_max_cores"]) == (128 << 20, 0.5)
    assert set(made["owners"].values()) == {"spec"}
    daemon.run("t", "sleep", "60", flags=("--group", "batch"))
    assert daemon.json("inspect", "t")["cgroups"]["memory"].endswith(f"/{daemon.parent}/batch/t")
    assert daemon.json("group", "limit", "batch", "--memory", "96M")["changed"] is True
    assert daemon.json("group", "ls")[0]["limits"]["memory_max_bytes"] == 96 << 20
    assert "96.0M" in daemon.cli("group", "ls").stdout
    refused = daemon.cli("group", "rm", "batch")
    assert (refused.returncode, "has containers (t)" in refused.stderr) == (4, True)
    daemon.cli("rm", "-f", "t")
    assert daemon.json("group", "rm", "batch") == {"name": "batch", "changed": True}
    assert daemon.cli("group", "rm", "batch").returncode == 3
    assert daemon.cli("run", "--group", "batch", "--rootfs", "/", "--", "true").returncode == 2


def test_a_volume_is_made_mounted_kept_and_removed(daemon: Running) -> None:
    made = daemon.json("volume", "create", "store")
    daemon.run("t", "sh", "-c", "echo kept > /mnt/file; sleep 60", flags=("-v", "store:/mnt"))

    assert daemon.json("volume", "ls")[0]["containers"] == ["t"]
    assert json.loads(daemon.cli("volume", "inspect", "store").stdout)["path"] == made["path"]
    refused = daemon.cli("volume", "rm", "store")
    assert (refused.returncode, "mounted by containers (t)" in refused.stderr) == (4, True)
    daemon.cli("rm", "-f", "t")
    kept = daemon.cli("run", "--rm", "--rootfs", "/", "-v", "store:/mnt:ro", "--", "cat", "/mnt/file")
    assert kept.stdout == "kept\n"
    assert daemon.json("volume", "rm", "store") == {"name": "store", "changed": True}
    assert daemon.cli("volume", "rm", "store").returncode == 3
    assert daemon.json("volume", "rm", "--if-exists", "store")["changed"] is False
