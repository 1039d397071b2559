"""Containers over images: layers mounted, configuration merged, and what is in use kept."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher import BadSpec, ContainerSpec, Launcher
from launcher.images import Image, ImageConfig
from launcher.images.errors import ImageInUse, UnknownImage
from tests.launcher.conftest import Place
from tests.launcher.images.archives import digest, directory, file, layer, symlink
from tests.launcher.images.unpacked import add

pytestmark = pytest.mark.kernel
Tag = Callable[..., Image]


def busybox_layer(root: Path) -> bytes:
    """One program, and not even the directories that things are mounted on."""
    names = [symlink(f"bin/{name}", "busybox") for name in ("sh", "ls", "cat", "sleep", "id", "pwd", "echo")]
    return layer(file("bin/busybox", (root / "bin" / "busybox").read_bytes(), mode=0o755), *names)


@pytest.fixture
def tag(launcher: Launcher, busybox_root: Path) -> Tag:
    """Make an image of these layers over the smallest one there can be."""

    def make(name: str, *layers: bytes, **config: object) -> Image:
        found = [add(launcher.images, content) for content in (busybox_layer(busybox_root), *layers)]
        diff_ids = [f"sha256:{path.parent.name}" for path in found]
        return launcher.images.tag(name, diff_ids, ImageConfig(**config))  # type: ignore[arg-type]

    return make


def spec(image: str, script: str | None = None, **fields: object) -> ContainerSpec:
    command = {} if script is None else {"command": ["sh", "-c", script]}
    return ContainerSpec.from_wire(
        {"name": "t", "image": image, "stop_timeout_sec": 0.3, **command, **fields}
    )


def output(launcher: Launcher, wanted: ContainerSpec) -> list[str]:
    launcher.run(wanted)
    launcher.wait(wanted.name, 20)
    lines = [line.data.decode() for line in launcher.read_log(wanted.name)]
    launcher.remove(wanted.name, force=True)
    return lines


def test_an_image_says_what_runs_as_whom_and_where(launcher: Launcher, tag: Tag) -> None:
    users = layer(directory("srv"), file("etc/passwd", b"app:x:7:8::/srv:/bin/sh\n"))
    tag(
        "tool",
        users,
        entrypoint=("sh", "-c"),
        command=("id -u; pwd; echo $A $HOME",),
        env={"A": "from the image"},
        user="app",
        workdir="/srv",
    )

    assert output(launcher, spec("tool")) == ["7", "/srv", "from the image /srv"]
    assert output(launcher, spec("tool", env={"A": "mine"}, user="0"))[2] == "mine /root"
    assert output(launcher, spec("tool", entrypoint=["echo"], command=["other"])) == ["other"]


def test_upper_layers_change_and_delete_what_is_below(launcher: Launcher, tag: Tag) -> None:
    low = layer(file("d/old", b"1"), file("e/old", b"1"), file("gone", b"1"), file("same", b"low\n"))
    high = layer(
        file(".wh.gone"),
        file("d/.wh..wh..opq"),
        file("d/new", b"1"),
        file("e/new", b"1"),
        file("same", b"high\n"),
    )
    tag("tool", low, high)

    script = "ls d; echo -; ls e; echo -; cat same; ls /gone 2>/dev/null || echo gone"
    assert output(launcher, spec("tool", script)) == ["new", "-", "new", "old", "-", "high", "gone"]


def test_an_opaque_root_hides_all_that_is_below(launcher: Launcher, tag: Tag, busybox_root: Path) -> None:
    anew = layer(file(".wh..wh..opq"))[:512] + busybox_layer(busybox_root)
    tag("tool", layer(file("old", b"1")), anew)

    assert "old" not in output(launcher, spec("tool", "ls /"))


def test_two_containers_share_the_layers_of_an_image(launcher: Launcher, tag: Tag) -> None:
    image = tag("tool", layer(file("shared", b"1\n")))
    names = ("one", "two")
    for name in names:
        launcher.run(spec("tool", "echo changed > /shared; sleep 60", name=name))

    stored = Path(launcher.images.layer_dir(image.layers[1]), "shared")
    assert stored.read_bytes() == b"1\n"
    assert launcher.images.verify("tool") == image
    assert len(os.listdir(Path(launcher.images.state_dir, "layers"))) == 2


@pytest.mark.parametrize("state", ["running", "exited", "created"])
def test_an_image_that_a_container_stands_on_is_not_removed(launcher: Launcher, tag: Tag, state: str) -> None:
    image = tag("tool")
    launcher.create(spec("tool", "sleep 60"))
    if state != "created":
        launcher.start("t")
    if state == "exited":
        launcher.stop("t", 0)

    with pytest.raises(ImageInUse, match="is used by container 't'"):
        launcher.images.remove("tool")
    removed = launcher.images.remove("tool", force=True)

    assert removed == (("docker.io/library/tool:latest",), (), ())
    assert launcher.images.collect() == ((), (), ())
    launcher.stop("t", 0)
    assert launcher.start("t")
    launcher.remove("t", force=True)
    assert launcher.images.collect() == ((), (image.id,), image.layers)


def test_the_next_daemon_starts_a_container_whose_image_has_no_name_any_more(
    place: Place, launcher: Launcher, tag: Tag
) -> None:
    tag("tool")
    launcher.run(spec("tool", "sleep 60", proc="plain"))
    launcher.stop("t", 0)
    launcher.images.remove("tool", force=True)

    after = place.launcher()

    assert after.images.collect() == ((), (), ())
    assert after.start("t")
    assert after.get("t").image == "tool"


def test_a_container_keeps_its_layers_when_the_name_moves_on(launcher: Launcher, tag: Tag) -> None:
    tag("tool", layer(file("version", b"1\n")))
    launcher.run(spec("tool", "cat /version; sleep 60"))
    tag("tool", layer(file("version", b"2\n")))

    launcher.images.collect()
    launcher.stop("t", 0)
    launcher.start("t")
    launcher.stop("t", 0)

    assert {line.data for line in launcher.read_log("t")} == {b"1"}


def test_what_cannot_be_run_leaves_nothing(launcher: Launcher, tag: Tag, place: Place) -> None:
    image = tag("tool")

    with pytest.raises(UnknownImage):
        launcher.run(spec("other", "true"))
    with pytest.raises(BadSpec, match="names no program"):
        launcher.run(spec("tool"))
    assert place.remains("t") == []
    assert launcher.images.remove("tool").layers == image.layers


def test_a_dry_run_tells_of_the_layers_and_of_the_merged_command(launcher: Launcher, tag: Tag) -> None:
    image = tag("tool", entrypoint=("echo",), command=("hello",))

    plan = launcher.describe(spec("tool"))

    assert any(launcher.images.layer_dir(image.layers[0]) in step for step in plan)
    assert plan[-1].endswith("execute echo hello")


def test_exec_starts_the_command_alone(launcher: Launcher, tag: Tag) -> None:
    tag("tool", entrypoint=("sh", "-c"), command=("sleep 60",))
    launcher.run(spec("tool"))

    session = launcher.exec("t", ["echo", "plain"])

    assert [data for _, data in session] == [b"plain\n"]


def test_overlay_really_does_not_look_at_the_roots_own_attribute(short_dir: Path, launcher: Launcher) -> None:
    """Why layers below an opaque root are left out: should the kernel learn it, this test will tell."""
    low = add(launcher.images, layer(file("old", b"1")))
    high = add(launcher.images, layer(file(".wh..wh..opq"), file("new", b"1")))
    merged = short_dir / "merged"
    merged.mkdir()
    script = f"mount -t overlay o -o lowerdir={high}:{low},index=off {merged} && ls {merged}"
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["new", "old"]


def test_the_diff_id_of_the_layer_is_that_of_the_archive(launcher: Launcher, tag: Tag) -> None:
    content = layer(file("x", b"1"))

    assert tag("tool", content).layers[1] == digest(content)
