"""`--device` and `--ulimit`: given, in exec too, and refused by field where they cannot be."""

import os
import resource
from collections.abc import Callable

import pytest

from launcher import BadSpec, Container, Launcher, syscalls
from launcher.scene.capabilities import NUMBERS
from launcher.scene.rlimits import check_rlimits
from tests.launcher.conftest import Place

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]
Output = Callable[..., list[str]]


def device(source: str, target: str | None = None, permissions: str = "rwm") -> list[dict[str, object]]:
    return [{"source": source, "target": target, "permissions": permissions}]


@pytest.mark.parametrize("userns", ["host", "auto"])
def test_a_device_is_there_and_opens(output: Output, userns: str) -> None:
    script = "ls -l /dev/net/tun; (exec 3<>/dev/net/tun) && echo opened"

    lines = output(script, devices=device("/dev/net/tun"), userns=userns)

    assert "10, 200" in lines[0]
    assert "opened" in lines


def test_a_device_has_another_name_inside_when_asked_for(output: Output) -> None:
    assert output("test -c /dev/a/b && echo there", devices=device("/dev/net/tun", "/dev/a/b")) == ["there"]


def test_a_device_opens_only_as_permitted(output: Output) -> None:
    script = "(exec 3</dev/x) && echo read; (exec 3>/dev/x) && echo written"

    lines = output(script, devices=device("/dev/kmsg", "/dev/x", "w"))

    assert "written" in lines
    assert "read" not in lines


def test_a_directory_gives_the_devices_in_it(output: Output) -> None:
    lines = output(
        "ls /dev/given; (exec 3<>/dev/given/tun) && echo opened", devices=device("/dev/net", "/dev/given")
    )

    assert lines == ["tun", "opened"]


def test_a_device_that_was_not_given_does_not_open(output: Output) -> None:
    lines = output("mknod /dev/tun c 10 200; (exec 3<>/dev/tun) && echo opened", cap_add=["MKNOD"])

    assert "opened" not in lines


@pytest.mark.parametrize(
    ("source", "target", "field", "why"),
    [
        ("/dev/missing", None, "source", "no such file"),
        ("/etc/passwd", None, "source", "is not a device"),
        ("/dev/kmsg", "/etc/kmsg", "target", "must appear below"),
        ("/dev/kmsg", "/dev/../etc/kmsg", "target", "must appear below"),
        ("/dev/kmsg", "/dev/null", "target", "must appear below"),
        ("/dev/kmsg", "/dev/pts/7", "target", "must appear below"),
        ("/dev/kmsg", "/dev/shm/x", "target", "must appear below"),
    ],
)
def test_a_device_that_cannot_be_given_is_refused_by_field(
    place: Place, run: Run, source: str, target: str | None, field: str, why: str
) -> None:
    with pytest.raises(BadSpec, match=f"devices/0/{field}: .*{why}"):
        run("true", devices=device(source, target))

    assert not place.remains("t")


def test_a_device_given_twice_is_given_once(output: Output) -> None:
    twice = [*device("/dev/net/tun"), *device("/dev/net/tun"), *device("/dev/net")]

    assert output("(exec 3<>/dev/net/tun) && echo opened", devices=twice) == ["opened"]


@pytest.mark.parametrize(
    ("second", "field"),
    [
        (device("/dev/kmsg", "/dev/x"), "devices/1/target: /dev/x is given twice"),
        (device("/dev/net/tun", "/dev/x", "r"), "devices/1/target: /dev/x is given twice"),
        (device("/dev/kmsg", "/dev/x/y"), "devices: /dev/x cannot be a device and have others below"),
    ],
)
def test_two_devices_for_one_place_are_refused_by_field(
    place: Place, run: Run, second: list[dict[str, object]], field: str
) -> None:
    with pytest.raises(BadSpec, match=field):
        run("true", devices=[*device("/dev/net/tun", "/dev/x"), *second])

    assert not place.remains("t")


def test_resource_limits_are_those_asked_for_in_exec_too(run: Run, launcher: Launcher) -> None:
    container = run("sleep 60", rlimits={"nofile": [100, 200], "core": [0, 0], "nproc": [50, 60]})

    session = launcher.exec("t", ["sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -c"])
    text = b"".join(data for _stream, data in session)

    assert container.pid is not None
    assert resource.prlimit(container.pid, resource.RLIMIT_NOFILE) == (100, 200)
    assert resource.prlimit(container.pid, resource.RLIMIT_NPROC) == (50, 60)
    assert text == b"100\n200\n0\n"


@pytest.mark.parametrize("userns", ["host", "auto"])
def test_a_limit_too_low_for_our_own_set_up_is_set_all_the_same(output: Output, userns: str) -> None:
    assert output("ulimit -n", rlimits={"nofile": [4, 4], "fsize": [0, 0]}, userns=userns) == ["4"]


def test_a_hard_limit_above_the_daemons_is_refused_by_field() -> None:
    """In a process without the capability, as on most hosts the daemon is one."""
    wanted = {"nofile": [10, resource.getrlimit(resource.RLIMIT_NOFILE)[1] + 1]}

    def check() -> str:
        syscalls.capset(syscalls.capget_permitted() & ~(1 << NUMBERS["SYS_RESOURCE"]))
        with pytest.raises(BadSpec) as refused:
            check_rlimits(wanted)
        return str(refused.value)

    assert said_by_a_child(check).startswith("rlimits/nofile: cgwarden runs without CAP_SYS_RESOURCE")


def test_a_hard_limit_below_the_daemons_needs_no_privilege(output: Output) -> None:
    assert output("ulimit -Hn", rlimits={"nofile": [10, 20]}, user="1000:1000") == ["20"]


def said_by_a_child(do: Callable[[], str]) -> str:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, do().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    return text
