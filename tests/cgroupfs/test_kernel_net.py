"""Network counters of real namespaces, and the pressure of the real host."""

from __future__ import annotations

import os
import subprocess

import pytest

from cgroupfs import NetNamespace, read_host_pressure, read_net
from cgroupfs.net import read_namespace

pytestmark = pytest.mark.kernel


def test_our_own_namespace_has_a_loopback() -> None:
    counters = read_net(os.getpid())

    assert counters is not None
    assert "lo" in [each.name for each in counters]


def test_counters_stay_readable_after_the_process_is_gone() -> None:
    process = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo ready; read x"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    namespace = NetNamespace.of(process.pid)
    assert namespace is not None
    assert namespace.inode != read_namespace("self")
    process.communicate()

    assert [each.name for each in namespace.read()] == ["lo"]
    namespace.close()


def test_a_process_that_is_gone_has_no_counters() -> None:
    process = subprocess.Popen(["true"])
    process.wait()

    assert read_net(process.pid) is None
    assert read_namespace(process.pid) is None
    assert NetNamespace.of(process.pid) is None


def test_a_process_that_was_not_reaped_has_none_either() -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert read_net(process.pid) is None
    process.wait()


def test_the_hosts_pressure_is_read_or_absent() -> None:
    pressure = read_host_pressure()

    assert pressure.memory is None or 0 <= pressure.memory.some_avg10_fraction <= 1
