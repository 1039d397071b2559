"""/etc/hosts, /etc/hostname and /etc/resolv.conf of a container's own, in honest roots and in others."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher import Container, LaunchFailed
from launcher.network.etc_texts import hosts_text, resolv_text

Output = Callable[..., list[str]]
Run = Callable[..., Container]
SHOW = "cat /etc/hosts; echo --; cat /etc/hostname; echo --; cat /etc/resolv.conf"


@pytest.mark.kernel
def test_a_container_knows_its_own_name(output: Output) -> None:
    lines = output(
        SHOW, hostname="box", extra_hosts={"db": "192.0.2.7"}, dns=["192.0.2.53"], dns_search=["a.b"]
    )

    assert "127.0.0.1\tlocalhost" in lines
    assert "192.0.2.7\tdb" in lines
    assert "127.0.1.1\tbox" in lines
    assert lines[lines.index("--") + 1] == "box"
    assert lines[-2:] == ["nameserver 192.0.2.53", "search a.b"]


@pytest.mark.kernel
def test_on_the_hosts_network_the_hosts_resolvers_serve(output: Output) -> None:
    lines = output(SHOW, network="host")

    assert "\n".join(lines).split("--")[2].strip() == Path("/etc/resolv.conf").read_text().strip()
    assert set(Path("/etc/hosts").read_text().split("\n")) - {""} <= set(lines)


@pytest.fixture
def root(busybox_root: Path, tmp_path: Path) -> Path:
    """A root of the test's own, whose /etc can be tampered with."""
    made = tmp_path / "root"
    for name in ("etc", "proc", "dev", "sys", "tmp"):
        (made / name).mkdir(parents=True)
    (made / "bin").mkdir()
    os.link(busybox_root / "bin/busybox", made / "bin/busybox")
    for name in ("sh", "cat", "ls"):
        (made / "bin" / name).symlink_to("busybox")
    return made


@pytest.mark.kernel
def test_a_link_in_the_root_is_replaced_and_not_followed(output: Output, root: Path) -> None:
    (root / "etc/target").write_text("the image's own\n")
    (root / "etc/hosts").symlink_to("/etc/target")
    (root / "etc/hostname").symlink_to("../../../../../../etc/hostname")

    lines = output("cat /etc/target; ls -l /etc/hosts; cat /etc/hostname", rootfs=str(root), hostname="box")

    assert lines[0] == "the image's own"
    assert "->" not in lines[1]
    assert lines[2] == "box"
    assert os.readlink(root / "etc/hosts") == "/etc/target"


@pytest.mark.kernel
def test_what_is_missing_is_made_in_the_writable_layer(output: Output, root: Path) -> None:
    (root / "etc").rmdir()

    assert output("cat /etc/hostname", rootfs=str(root), hostname="box") == ["box"]
    assert not (root / "etc").exists()


@pytest.mark.kernel
def test_what_is_no_file_is_refused(run: Run, root: Path) -> None:
    (root / "etc/hosts").mkdir()

    with pytest.raises(LaunchFailed, match="it must be a file in the root"):
        run("true", rootfs=str(root))


@pytest.mark.kernel
def test_etc_as_a_link_leads_nowhere_outside_the_root(output: Output, root: Path) -> None:
    (root / "etc").rmdir()
    (root / "own").mkdir()
    (root / "etc").symlink_to("../../own")

    assert output("cat /own/hostname", rootfs=str(root), hostname="box") == ["box"]


@pytest.mark.kernel
def test_they_can_be_written_but_not_in_a_read_only_container(output: Output) -> None:
    assert output("echo x > /etc/hosts && cat /etc/hosts") == ["x"]
    assert "Read-only" in output("echo x > /etc/hosts", read_only=True)[0]


def test_resolvers_that_only_the_host_reaches_are_left_out() -> None:
    host = "nameserver 127.0.0.53\nnameserver 192.0.2.1\nsearch example.org\noptions edns0\nnameserver ::1\n"

    assert resolv_text(host, (), ()) == "nameserver 192.0.2.1\nsearch example.org\noptions edns0\n"
    assert resolv_text(host, ("9.9.9.9",), (".",)) == "nameserver 9.9.9.9\noptions edns0\n"
    assert resolv_text("nameserver 127.0.0.53\n", (), ()).startswith(
        "# the host's resolvers are on its loopback"
    )


def test_a_containers_address_stands_beside_its_name() -> None:
    assert hosts_text("box", "10.88.0.2", {}).endswith("10.88.0.2\tbox\n")
    assert hosts_text("box", "", {}).endswith("127.0.1.1\tbox\n")


@given(st.text())
def test_any_resolv_conf_gives_lines_of_the_known_kinds(text: str) -> None:
    for line in resolv_text(text, (), ()).splitlines():
        assert line.split(" ")[0] in ("nameserver", "search", "options", "#")
