"""What a container changed, over the API: the list as it is promised, and an image of it."""

from tests.web.rig import Rig


def test_changes_are_told_with_their_kind_and_size(rig: Rig) -> None:
    rig.launcher.add("web")

    changes = rig.get("/api/v1/containers/web/diff").json["changes"]

    assert changes == [
        {"kind": "changed", "path": "/etc", "size_bytes": None},
        {"kind": "deleted", "path": "/etc/motd", "size_bytes": None},
        {"kind": "added", "path": "/odd\ufffdname", "size_bytes": None},
    ]
    assert rig.get("/api/v1/containers/ghost/diff").status == 404


def test_a_commit_needs_a_name_for_the_image(rig: Rig) -> None:
    rig.launcher.add("web")

    missing = rig.ask("POST", "/api/v1/containers/web/commit", {})
    made = rig.ask("POST", "/api/v1/containers/web/commit", {"reference": "web:2"})

    assert (missing.status, missing.json["errors"][0]["pointer"]) == (422, "/reference")
    assert made.status == 201
    assert made.json["references"] == ["web:2"]
