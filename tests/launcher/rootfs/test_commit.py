"""From a container's changes to a layer of an image, and back to a container with the same tree."""

import io
import os
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from launcher import ContainerSpec, Launcher
from launcher.errors import CannotCommit
from launcher.images import ImageConfig
from launcher.wanted import wanted_while
from tests.launcher.conftest import Place, eventually
from tests.launcher.rootfs.conftest import Start, changes, output

pytestmark = pytest.mark.kernel
LIST = """cd /; find data made gone 2>/dev/null | sort | while read f; do
    [ -d $f ] && stat -c '%n %f %u:%g %Y' $f || stat -c '%n %f %u:%g %h %s %Y' $f; done"""
CHANGE = """
rm -r /data/deep /data/removed; mkdir /data/deep; echo n > /data/deep/near
rm /data/pointer; mkdir /data/pointer; echo x > /data/pointer/in
mkdir -p /made/a; echo a > /made/a/f; ln /made/a/f /made/g; ln -s nowhere /made/link
chown 7:8 /made/g; chmod 4711 /made/g; mkfifo /made/pipe
echo more >> /data/changed; touch -d @1000000000 /made/a/f
"""


def run(launcher: Launcher, name: str, script: str, **fields: object) -> list[str]:
    """The output of a container that is left as it ended."""
    wire = {"name": name, "command": ["sh", "-c", script]} | fields
    launcher.run(ContainerSpec.from_wire(wire))
    return output(launcher, name)


@pytest.fixture
def layered(launcher: Launcher, root: Path) -> Callable[[], str]:
    """An image of two layers: the root, and one that deletes, replaces and hides what is in it."""

    def make() -> str:
        below = io.BytesIO()
        with tarfile.open(fileobj=below, mode="w", format=tarfile.PAX_FORMAT) as tar:
            tar.add(root, arcname=".", recursive=True)
        above = io.BytesIO()
        with tarfile.open(fileobj=above, mode="w") as tar:
            for name in ("data/.wh.removed", "data/deep/.wh..wh..opq"):
                tar.addfile(tarfile.TarInfo(name))
            for name in ("data/deep/second", "data/changed"):
                text = tarfile.TarInfo(name)
                text.size = 2
                tar.addfile(text, io.BytesIO(b"2\n"))
        layers = [_add(launcher, each, root.parent / "layer.tar") for each in (below, above)]
        launcher.images.tag("layered:1", layers, ImageConfig())
        return "layered:1"

    return make


def _add(launcher: Launcher, layer: io.BytesIO, path: Path) -> str:
    path.write_bytes(layer.getvalue())
    with open(path, "rb") as file:
        return launcher.images.add_layer(file)


def test_layers_are_seen_as_one_tree_and_changed_apart(
    launcher: Launcher, layered: Callable[[], str], driver: str
) -> None:
    image = layered()
    script = "ls /data /data/deep; rm /data/deep/second; echo 3 >> /data/changed"
    lines = run(launcher, "t", script, image=image, driver=driver)

    assert lines == [
        *["/data:", "changed", "deep", "kept", "linked", "pipe", "pointer", ""],
        *["/data/deep:", "second"],
    ]
    assert changes(launcher) == ["C /data", "C /data/changed", "C /data/deep", "D /data/deep/second"]


def test_an_image_made_of_a_container_shows_the_same_tree(
    start: Start, launcher: Launcher, driver: str
) -> None:
    start(CHANGE + LIST)
    before = output(launcher)
    image = launcher.commit("t", "made:1")

    after = run(launcher, "u", LIST, image="made:1", driver=driver)

    assert len(image.layers) == 1
    assert after == before
    assert changes(launcher, "u") == []


def test_changes_over_an_image_become_one_more_layer(
    launcher: Launcher, layered: Callable[[], str], driver: str
) -> None:
    image = layered()
    before = run(launcher, "t", CHANGE.replace("/data/removed", "") + LIST, image=image, driver=driver)
    made = launcher.commit("t", "made:2")

    after = run(launcher, "u", LIST, image="made:2", driver=driver)

    assert made.layers[:2] == launcher.images.resolve(image).layers
    assert len(made.layers) == 3
    assert after == before


def test_the_same_changes_are_the_same_layer(start: Start, launcher: Launcher) -> None:
    start("mkdir /z /a; echo 1 > /z/f; touch -d @1 /z/f /z /a")
    output(launcher)

    assert launcher.commit("t", "one:1").layers == launcher.commit("t", "two:1").layers


def test_an_image_made_of_a_container_runs_as_that_did(start: Start, launcher: Launcher) -> None:
    start("pwd; id -u; echo $MARK", workdir="/data", user="1234", env={"MARK": "seen"}, labels={"of": "t"})
    before = output(launcher)
    launcher.commit("t", "made:3")

    launcher.run(ContainerSpec.from_wire({"name": "u", "image": "made:3"}))

    assert output(launcher, "u") == before == ["/data", "1234", "seen"]
    assert launcher.images.resolve("made:3").config.labels == {"of": "t"}


def test_the_owners_of_a_container_with_ids_of_its_own_are_those_inside(
    start: Start, launcher: Launcher
) -> None:
    start("touch /mine /theirs; chown 5:6 /theirs; echo x >> /data/changed", userns="auto")
    output(launcher)
    found = {change.path: change.status for change in launcher.diff("t")}

    assert list(found) == ["/data", "/data/changed", "/mine", "/theirs"]
    owners = {path: (status.st_uid, status.st_gid) for path, status in found.items() if status}
    assert owners["/mine"] == (0, 0)
    assert owners["/theirs"] == (5, 6)


def test_a_root_that_holds_our_own_directories_makes_no_image(launcher: Launcher, place: Place) -> None:
    launcher.run(ContainerSpec.from_wire({"name": "t", "rootfs": "/", "command": ["true"]}))

    with pytest.raises(CannotCommit, match="holds cgwarden's own directories"):
        launcher.commit("t", "host:1")

    assert launcher.images.images() == []
    assert os.listdir(place.state_dir / "layers") == []


@pytest.mark.parametrize("script", ["echo > /data/.wh.kept", "mkdir -p /made/.wh.x/y"])
def test_a_file_that_would_read_as_a_deletion_makes_no_image(
    start: Start, launcher: Launcher, script: str
) -> None:
    start(script)
    output(launcher)

    with pytest.raises(CannotCommit, match="stands for a deletion") as refused:
        launcher.commit("t", "made:1")

    assert "/.wh." in str(refused.value)
    assert launcher.images.images() == []


def test_more_than_a_layer_may_have_makes_no_image(start: Start, launcher: Launcher, place: Place) -> None:
    launcher.images.limit(layer_bytes=64 << 20, entries=10_000)
    start("truncate -s 100M /big; ln /big /same")
    output(launcher)

    with pytest.raises(CannotCommit, match="bytes, and a layer may have 67108864"):
        launcher.commit("t", "made:1")

    assert launcher.images.images() == []
    assert os.listdir(place.state_dir / "layers") == []


def test_a_file_with_two_names_counts_once(start: Start, launcher: Launcher) -> None:
    launcher.images.limit(layer_bytes=64 << 20, entries=10_000)
    start("truncate -s 40M /big; ln /big /same")
    output(launcher)

    assert launcher.commit("t", "made:1").size_bytes < 64 << 20


def test_a_container_can_be_removed_while_an_image_is_made_of_it(
    launcher: Launcher, root: Path, place: Place
) -> None:
    command = ["sh", "-c", "truncate -s 3G /big; exec sleep 100"]
    launcher.run(ContainerSpec.from_wire({"name": "t", "rootfs": str(root), "command": command}))
    assert eventually(lambda: "/big" in [change.path for change in launcher.diff("t")])

    with ThreadPoolExecutor(1) as pool:
        commit = pool.submit(launcher.commit, "t", "made:1")
        assert eventually(lambda: launcher.state_of("t") == "frozen")
        launcher.remove("t", force=True)

        with pytest.raises(CannotCommit, match="is removed or restarted"):
            commit.result(30)
    assert launcher.containers() == ()
    assert os.listdir(place.state_dir / "layers") == []


def test_a_commit_that_nobody_waits_for_ends_and_lets_the_container_run(
    start: Start, launcher: Launcher, place: Place
) -> None:
    start("sleep 100")

    with pytest.raises(CannotCommit, match="or the client left"), wanted_while(lambda: False):
        launcher.commit("t", "made:1")

    assert launcher.state_of("t") == "running"
    assert os.listdir(place.state_dir / "layers") == []
