"""Text from containers and from the kernel: understood or passed over, never an accident."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.logfile import parse_log_line
from launcher.records import parse_start_ticks
from launcher.scene.capabilities import DEFAULT, NAMES, capability_mask, plan_capabilities
from launcher.scene.identity import Identity, parse_group, parse_passwd, resolve_identity

PASSWD = "root:x:0:0:root:/root:/bin/sh\nbroken\napp:x:1000:1001:App:/home/app:/bin/sh\n"
GROUP = "root:x:0:\napp:x:1001:\nwheel:x:10:root,app\nvideo:x:44:app\n"


@pytest.mark.parametrize(
    ("user", "identity"),
    [
        ("0:0", Identity(0, 0, (), "/root")),
        ("app", Identity(1000, 1001, (10, 44), "/home/app")),
        ("app:wheel", Identity(1000, 10, (), "/home/app")),
        ("app:7", Identity(1000, 7, (), "/home/app")),
        ("1000", Identity(1000, 1001, (10, 44), "/home/app")),
        ("4242", Identity(4242, 0, (), "/")),
    ],
)
def test_a_user_is_looked_up_in_the_containers_files(user: str, identity: Identity) -> None:
    assert resolve_identity(user, PASSWD, GROUP) == identity


@pytest.mark.parametrize("user", ["nobody", "app:nogroup"])
def test_an_unknown_user_is_an_error_that_names_the_file(user: str) -> None:
    with pytest.raises(OSError, match="is not in the container's /etc/"):
        resolve_identity(user, PASSWD, GROUP)


def test_without_files_numbers_still_work() -> None:
    assert resolve_identity("0", "", "") == Identity(0, 0, (), "/root")


@given(st.text())
def test_any_passwd_and_group_give_accounts_with_possible_ids(text: str) -> None:
    assert all(
        0 <= account.uid < 2**32 - 1 and 0 <= account.gid < 2**32 - 1 for account in parse_passwd(text)
    )
    assert all(0 <= gid < 2**32 - 1 for _name, gid, _members in parse_group(text))


@given(st.binary())
def test_any_bytes_are_a_log_line_or_none(data: bytes) -> None:
    line = parse_log_line(data)

    assert line is None or line.stream in ("stdout", "stderr")


@given(
    st.binary().filter(lambda data: b"\n" not in data), st.booleans(), st.sampled_from(["stdout", "stderr"])
)
def test_a_log_line_keeps_every_byte(data: bytes, partial: bool, stream: str) -> None:
    kind = b"P" if partial else b"F"

    line = parse_log_line(b"2026-01-02T03:04:05.000006Z " + stream.encode() + b" " + kind + b" " + data)

    assert line == ("2026-01-02T03:04:05.000006Z", stream, partial, data)


@given(st.binary())
def test_any_stat_file_gives_a_start_time_or_none(stat: bytes) -> None:
    ticks = parse_start_ticks(stat)

    assert ticks is None or ticks >= 0


def test_a_process_name_cannot_fake_a_start_time() -> None:
    fields = " ".join(["S", *map(str, range(4, 22)), "777", "0"])

    assert parse_start_ticks(f"12 (a) Z 1 2) b) {fields}".encode()) == 777


def test_a_zombie_has_no_start_time() -> None:
    fields = " ".join(["Z", *map(str, range(4, 22)), "777", "0"])

    assert parse_start_ticks(f"12 (sh) {fields}".encode()) is None


def test_capabilities_start_from_the_default_set() -> None:
    assert plan_capabilities((), ()) == DEFAULT
    assert plan_capabilities(("NET_RAW",), ("KILL",)) == (DEFAULT - {"KILL"}) | {"NET_RAW"}


def test_drop_all_and_add_one_is_that_one() -> None:
    assert plan_capabilities(("CHOWN",), ("ALL",)) == {"CHOWN"}


def test_add_all_and_drop_one_is_all_but_that_one() -> None:
    assert plan_capabilities(("ALL",), ("SYS_ADMIN",)) == set(NAMES) - {"SYS_ADMIN"}


def test_the_numbers_of_capabilities_are_the_kernels() -> None:
    assert capability_mask({"CHOWN", "SYS_ADMIN"}) == 1 | 1 << 21
    assert capability_mask(DEFAULT) == 0x800405FB
