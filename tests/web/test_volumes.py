"""Named volumes over the API: real directories behind it, made in one of the test's own."""

from pathlib import Path

from launcher import Container, ContainerSpec
from launcher.registry import Entry
from tests.web.rig import Rig


def test_a_volume_is_made_listed_looked_at_and_removed(rig: Rig) -> None:
    made = rig.ask("POST", "/api/v1/volumes", {"name": "store"})

    assert made.status == 201
    assert made.json == rig.get("/api/v1/volumes/store").json
    assert rig.ask("POST", "/api/v1/volumes", {"name": "store"}).json == made.json
    assert rig.get("/api/v1/volumes").json == {"volumes": [made.json]}
    assert Path(made.json["path"]).is_dir()
    assert made.json["containers"] == []
    assert rig.ask("DELETE", "/api/v1/volumes/store").status == 204
    assert rig.get("/api/v1/volumes").json == {"volumes": []}
    assert rig.get("/api/v1/volumes/store").status == 404


def test_a_volume_that_a_container_mounts_stays(rig: Rig) -> None:
    rig.ask("POST", "/api/v1/volumes", {"name": "store"})
    volumes = [{"source": "store", "target": "/data"}]
    wire = {"name": "t", "rootfs": "/", "command": ["true"], "volumes": volumes}
    spec = ContainerSpec.from_wire(wire)
    rig.registry.add(Entry(Container(spec=spec, state="exited", created_at="2026-11-24T04:00:00.000Z")))

    refused = rig.ask("DELETE", "/api/v1/volumes/store")

    assert (refused.status, "mounted by containers (t)" in refused.json["detail"]) == (409, True)
    assert rig.get("/api/v1/volumes/store").json["containers"] == ["t"]


def test_a_volumes_name_is_checked(rig: Rig) -> None:
    assert rig.ask("POST", "/api/v1/volumes", {"name": "../x"}).status == 422
    assert rig.ask("POST", "/api/v1/volumes", {}).status == 422
    assert rig.ask("DELETE", "/api/v1/volumes/absent").status == 404
