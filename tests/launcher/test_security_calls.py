"""The checklist of attacks by system calls and by files of the kernel, each tried inside a default container
as root (docs/launcher.md, "What is tried"). Rows have the names of the checklist: S01 to S06, S13, S14.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher import BadSpec, CannotInvoke, Container, ContainerSpec, Launcher
from launcher.scene.capabilities import DEFAULT, NUMBERS, capability_mask
from tests.launcher import inmate
from tests.launcher.conftest import Place
from tests.launcher.hostile import Probe, call

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]
Output = Callable[..., list[str]]
NOBODY = "65534:65534"
AT_FDCWD = -100
MS_REMOUNT = 32
PTRACE_ATTACH = 16
ONE_BYTE = "\0" * 8 + "\1"  # struct iovec
BOTH_LAYERS = pytest.mark.parametrize("seccomp", ["default", "unconfined"])
"""What the filter refuses, capabilities must refuse alone as well."""


@BOTH_LAYERS
def test_s01_the_hosts_cgroups_cannot_be_written_found_or_mounted(probe: Probe, seccomp: str) -> None:
    found = probe(
        ["writable", "writable", "/sys/fs/cgroup"],
        call("mount", "none", "/tmp", "cgroup2", 0, 0),
        ["cgroup", "call", call("mount")[2], "none", "/tmp", "cgroup", 0, "memory"],
        seccomp=seccomp,
    )

    assert found == {"writable": [], "mount": "EPERM", "cgroup": "EPERM"}


def test_s01_no_release_agent_shows_and_the_own_group_is_the_root(output: Output) -> None:
    lines = output("find /sys/fs/cgroup -name release_agent; cat /proc/self/cgroup")

    assert lines
    assert all(line.endswith(":/") for line in lines)


def test_s02_no_file_of_the_kernel_can_be_opened_for_writing(probe: Probe) -> None:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    single = ("/proc/sysrq-trigger", "/sys/kernel/uevent_helper", "/proc/sys/kernel/core_pattern")

    found = probe(
        ["below", "writable", "/proc/sys", "/proc/irq", "/proc/bus", "/proc/fs", "/sys"],
        *([path, "write", path] for path in single),
    )

    assert found.pop("below") == []
    assert set(found.values()) <= {"EROFS", "EACCES", "EPERM", "ENOENT"}
    assert Path("/proc/sys/kernel/core_pattern").read_text() == pattern


def test_s03_what_tells_of_the_host_is_empty_or_absent(probe: Probe) -> None:
    names = [
        "kcore",
        "keys",
        "timer_list",
        "timer_stats",
        "sched_debug",
        "latency_stats",
        "interrupts",
        "acpi",
        "asound",
        "scsi",
    ]
    paths = [f"/proc/{name}" for name in names]
    paths += ["/sys/firmware", "/sys/devices/virtual/powercap", "/sys/fs/selinux"]

    found = probe(*([path, "content", path] for path in paths))

    assert {path: seen for path, seen in found.items() if seen not in ("empty", "absent")} == {}


@BOTH_LAYERS
def test_s04_nothing_can_be_mounted_moved_or_taken_off(probe: Probe, seccomp: str) -> None:
    found = probe(
        call("mount", "none", "/tmp", "tmpfs", 0, 0),
        ["remount", "call", call("mount")[2], "none", "/", "", MS_REMOUNT, 0],
        call("umount2", "/proc", 2),
        call("pivot_root", "/", "/"),
        call("move_mount", AT_FDCWD, "/tmp", AT_FDCWD, "/var", 0),
        call("open_tree", AT_FDCWD, "/", 1),
        call("fsopen", "tmpfs", 0),
        call("fspick", AT_FDCWD, "/", 0),
        call("mount_setattr", AT_FDCWD, "/", 0, "\0" * 32, 32),
        call("unshare", 0x20000),
        call("chroot", "/proc/1/root"),
        seccomp=seccomp,
    )

    # CAP_SYS_CHROOT may change the root, from which no way leads out: pivot_root detached it.
    assert found.pop("chroot") == "done"
    assert set(found.values()) == {"EPERM"}


@pytest.mark.parametrize("number", [8 << 8, 1 << 8 | 1], ids=["8:0", "1:1"])
def test_s05_device_nodes_cannot_be_made_and_where_they_can_not_be_opened(probe: Probe, number: int) -> None:
    kind = 0o060600 if number == 8 << 8 else 0o020600
    make = call("mknod", "/dev/cgw-node", kind, number)
    look = call("open", "/dev/cgw-node", os.O_RDONLY)

    assert probe(make, look) == {"mknod": "EPERM", "open": "ENOENT"}
    assert probe(make, look, cap_add=["MKNOD"]) == {"mknod": "done", "open": "EPERM"}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="ports are an x86 matter")
@BOTH_LAYERS
def test_s05_the_machines_ports_are_out_of_reach(probe: Probe, seccomp: str) -> None:
    found = probe(call("iopl", 3), call("ioperm", 0x80, 1, 1), seccomp=seccomp)

    assert set(found.values()) <= {"EPERM", "ENOSYS"}  # newer kernels are built without


@BOTH_LAYERS
def test_s06_no_process_of_the_host_can_be_seen_traced_or_read(probe: Probe, seccomp: str) -> None:
    mine = os.getpid()
    found = probe(
        call("ptrace", PTRACE_ATTACH, mine, 0, 0),
        call("process_vm_readv", mine, ONE_BYTE, 1, ONE_BYTE, 1, 0),
        call("kcmp", mine, mine, 0, 0, 0),
        call("pidfd_open", mine, 0),
        call("pidfd_getfd", 0, 0, 0),
        call("kill", mine, 0),
        ["its files", "content", f"/proc/{mine}"],
        seccomp=seccomp,
    )

    assert found.pop("its files") == "absent"
    assert set(found.values()) <= {"EPERM", "ESRCH", "EBADF"}
    assert found["pidfd_open"] == "ESRCH"


# Arguments that could not succeed even where they are allowed.
FORBIDDEN = (
    call("keyctl", 0, 0),
    call("add_key", "user", "x", "x", 1, -3),
    call("request_key", "user", "x", 0, -3),
    call("unshare", 0x10000000),
    call("bpf", 0, 0, 0),
    call("perf_event_open", 0, 0, -1, -1, 0),
    call("init_module", 0, 0, 0),
    call("finit_module", -1, 0, 0),
    call("delete_module", "cgw-no-such", 0),
    call("kexec_load", 0, 99, 0, 1),
    call("kexec_file_load", -1, -1, 0, 0, 0),
    call("userfaultfd", 0),
    call("io_uring_setup", 1, 0),
    call("open_by_handle_at", -1, 0, 0),
    call("quotactl", 0, 0, 0, 0),
    call("swapon", "/no/such", 0),
    call("swapoff", "/no/such"),
    call("reboot", 0, 0, 0, 0),
    call("settimeofday", 0, 0),
    call("clock_settime", 0, 0),
    call("acct", "/no/such"),
    call("lookup_dcookie", 0, 0, 0),
    call("move_pages", 0, 0, 0, 0, 0, 0),
    call("mbind", 0, 0, 0, 0, 0, 0),
    call("nfsservctl", 0, 0, 0) if os.uname().machine == "x86_64" else call("vhangup"),
    call("personality", 0x0040000),  # no randomised addresses
    ["a socket of the kernel's cryptography", "call", call("socket")[2], 38, 5, 0],
    ["a socket of the hypervisor", "call", call("socket")[2], 40, 1, 0],
    ["a namespace by clone", "call", call("clone")[2], 0x10000000, 0, 0, 0, 0],
)


def test_s13_calls_with_no_place_in_a_container_are_refused(probe: Probe) -> None:
    found = probe(*FORBIDDEN)

    assert {name: seen for name, seen in found.items() if seen not in ("EPERM", "ENOSYS")} == {}


def test_s13_calls_that_c_libraries_try_first_answer_as_on_an_old_kernel(probe: Probe) -> None:
    newest = ["not invented yet", "call", 4000]

    assert probe(call("clone3", 0, 0), newest) == {"clone3": "ENOSYS", "not invented yet": "ENOSYS"}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x86-64 has three gates for calls")
def test_s13_the_other_gates_of_x86_are_held_as_well(probe: Probe) -> None:
    found = probe(
        ["keyctl", "old", 288, 0, 0],
        ["socket", "old", 359, 40, 1],
        ["socketcall", "old", 102, 1, 0],
        ["getpid", "old", 20, 0, 0],
        ["x32", "call", 0x40000000 + 39],
    )

    assert found == {
        "keyctl": "EPERM",
        "socket": "EPERM",
        "socketcall": "EPERM",
        "getpid": "done",
        "x32": "ENOSYS",
    }


def test_s13_a_capability_opens_its_calls_and_no_others(probe: Probe) -> None:
    found = probe(
        call("bpf", 99, 0, 0), call("keyctl", 0, 0), call("acct", "/no/such"), cap_add=["SYS_ADMIN"]
    )

    assert found == {"bpf": "EINVAL", "keyctl": "EPERM", "acct": "EPERM"}


FIELDS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters")
HELD = f"{capability_mask(DEFAULT):016x}"
NONE = "0" * 16


def status_of(launcher: Launcher, **given: str) -> dict[str, str]:
    session = launcher.exec("t", ["grep", "-E", "^(Cap|NoNew|Seccomp)", "/proc/self/status"], **given)  # type: ignore[arg-type]
    text = b"".join(data for _stream, data in session).decode()
    return dict(line.split(":\t") for line in text.splitlines())


@pytest.mark.parametrize("which", ["create", "exec"])
def test_s14_the_first_process_and_exec_hold_exactly_what_is_documented(
    run: Run, launcher: Launcher, which: str
) -> None:
    pid = run("sleep 60").pid
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    seen = dict(line.split(":\t", 1) for line in lines) if which == "create" else status_of(launcher)

    assert [seen[field] for field in FIELDS] == [NONE, HELD, HELD, HELD, NONE, "1", "2", "1"]


@pytest.mark.parametrize("which", ["create", "exec"])
def test_s14_another_user_holds_what_was_added_by_name_and_nothing_else(
    run: Run, launcher: Launcher, which: str
) -> None:
    added = f"{1 << NUMBERS['NET_BIND_SERVICE'] | 1 << NUMBERS['NET_RAW']:016x}"
    bounding = f"{capability_mask(DEFAULT | {'NET_RAW'}):016x}"
    given = {"cap_add": ["NET_BIND_SERVICE", "NET_RAW"]}
    pid = run("sleep 60", user=NOBODY, **given).pid
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    seen = dict(line.split(":\t", 1) for line in lines) if which == "create" else status_of(launcher)

    assert [seen[field] for field in FIELDS] == [added, added, added, bounding, added, "1", "2", "1"]


def test_s14_root_of_a_container_with_a_user_is_root_without_ambient(run: Run, launcher: Launcher) -> None:
    run("sleep 60", user=NOBODY, cap_add=["NET_RAW"])

    seen = status_of(launcher, user="0:0")

    assert (seen["CapInh"], seen["CapAmb"]) == (NONE, NONE)


def test_s14_an_unknown_capability_is_refused() -> None:
    with pytest.raises(BadSpec, match="cap_add: there is no capability 'FLY'"):
        ContainerSpec.from_wire({"rootfs": "/", "command": ["true"], "cap_add": ["FLY"]})


def test_what_cgwarden_does_not_have_itself_is_refused_by_name(run: Run) -> None:
    own = int(re.search(r"CapPrm:\t(\w+)", Path("/proc/self/status").read_text())[1], 16)  # type: ignore[index]
    lacking = [name for name, number in NUMBERS.items() if not own >> number & 1]

    for name in lacking:
        with pytest.raises(BadSpec, match=f"cap_add: {name} cannot be given"):
            run("true", cap_add=[name])


def test_all_capabilities_are_all_that_this_host_can_give(run: Run) -> None:
    pid = run("sleep 60", cap_add=["ALL"]).pid

    own = re.search(r"CapPrm:\t(\w+)", Path("/proc/self/status").read_text())
    theirs = re.search(r"CapPrm:\t(\w+)", Path(f"/proc/{pid}/status").read_text())
    assert own
    assert theirs
    assert theirs[1] == own[1]


def test_a_setuid_program_gives_nobody_more(output: Output, short_dir: Path) -> None:
    short_dir.chmod(0o755)
    program = short_dir / "id"  # of coreutils: busybox gives up what a setuid bit gave it
    shutil.copy("/usr/bin/id", program)
    program.chmod(0o4755)

    outside = subprocess.run([program, "-u"], user=65534, capture_output=True, text=True, check=True)
    assert outside.stdout == "0\n"
    assert output([str(program), "-u"], user=NOBODY, rootfs="/") == ["65534"]


def test_each_container_has_session_keys_of_its_own(probe: Probe) -> None:
    rings = [probe(["ring", "keyring"], seccomp="unconfined")["ring"] for _ in range(2)]

    assert len({*rings, inmate.keyring()}) == 3


def test_memory_that_is_writable_and_executable_is_refused_on_request(probe: Probe) -> None:
    exec_stack = call("mmap", 0, 4096, 7, 0x22, -1, 0)

    assert probe(exec_stack) == {"mmap": "done"}
    assert probe(exec_stack, mdwe=True) == {"mmap": "EACCES"}


def test_a_profile_need_allow_nothing_that_we_do_but_execve(output: Output) -> None:
    """The filter is loaded last of all: what cgwarden itself does to start a program needs no rule."""
    allowed = ["execve", "arch_prctl", "brk", "mmap", "mprotect", "set_tid_address", "set_robust_list"]
    allowed += ["rseq", "prlimit64", "readlink", "readlinkat", "getrandom", "write", "exit_group", "getuid"]
    only = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{"names": allowed, "action": "SCMP_ACT_ALLOW"}],
    }

    assert output(["/bin/busybox", "echo", "done"], seccomp=only) == ["done"]


def test_a_profile_that_refuses_execve_is_told_as_a_program_that_cannot_run(run: Run) -> None:
    refuse = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["execve"], "action": "SCMP_ACT_ERRNO"}],
    }

    with pytest.raises(CannotInvoke, match="operation not permitted"):
        run("true", seccomp=refuse)


def test_a_call_that_kills_shows_in_the_exit_code(run: Run, launcher: Launcher) -> None:
    kill = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"}],
    }
    run(["mkdir", "/x"], seccomp=kill)

    assert launcher.wait("t", 20) == 128 + signal.SIGSYS


def test_a_wrong_profile_leaves_nothing(run: Run, place: Place) -> None:
    with pytest.raises(BadSpec, match=r"seccomp\.syscalls\[0\]\.action: 'DENY' is none of"):
        run(
            "true",
            seccomp={"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["x"], "action": "DENY"}]},
        )

    assert place.remains("t") == []
