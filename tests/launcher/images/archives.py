"""Archives as tests need them: layers by tarfile or by hand, layouts and docker's archives around them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from launcher.images.platforms import MACHINE

LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
Member = tuple[tarfile.TarInfo, bytes]


def file(name: str, content: bytes = b"", **fields: Any) -> Member:
    """A regular file, or with `type` anything else."""
    info = tarfile.TarInfo(name)
    info.mode = 0o644
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def directory(name: str, mode: int = 0o755, **fields: Any) -> Member:
    return file(name, type=tarfile.DIRTYPE, mode=mode, **fields)


def symlink(name: str, target: str) -> Member:
    return file(name, type=tarfile.SYMTYPE, linkname=target)


def hard_link(name: str, target: str) -> Member:
    return file(name, type=tarfile.LNKTYPE, linkname=target)


def device(name: str, major: int, minor: int, kind: bytes = tarfile.CHRTYPE) -> Member:
    return file(name, type=kind, devmajor=major, devminor=minor)


def layer(*members: Member, format: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar archive, not compressed."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def config(layers: Iterable[bytes], architecture: str = MACHINE, **run: Any) -> bytes:
    """The configuration of an image of uncompressed layers; `run` as Cmd=[...]."""
    wire = {
        "architecture": architecture,
        "os": "linux",
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [digest(content) for content in layers]},
    }
    return json.dumps(wire).encode()


class Layout:
    """An OCI layout being made in a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "blobs" / "sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self.manifests: list[dict[str, Any]] = []

    def blob(self, content: bytes, kind: str) -> dict[str, Any]:
        told = digest(content)
        (self.path / "blobs" / told.replace(":", "/")).write_bytes(content)
        return {"mediaType": kind, "digest": told, "size": len(content)}

    def image(
        self,
        layers: Sequence[bytes],
        compress: Callable[[bytes], bytes] = lambda content: gzip.compress(content, mtime=0),
        architecture: str = MACHINE,
        media_suffix: str = "+gzip",
        **run: Any,
    ) -> dict[str, Any]:
        """A manifest's descriptor, with all it refers to."""
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(config(layers, architecture, **run), CONFIG),
            "layers": [self.blob(compress(content), LAYER + media_suffix) for content in layers],
        }
        platform = {"os": "linux", "architecture": architecture}
        return self.blob(json.dumps(manifest).encode(), MANIFEST) | {"platform": platform}

    def index(self, *manifests: dict[str, Any]) -> dict[str, Any]:
        wire = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests)}
        return self.blob(json.dumps(wire).encode(), INDEX)

    def add(self, descriptor: dict[str, Any], name: str | None = None) -> Layout:
        """Put an image into index.json."""
        told = {} if name is None else {"annotations": {"org.opencontainers.image.ref.name": name}}
        self.manifests.append(descriptor | told)
        wire = {"schemaVersion": 2, "manifests": self.manifests}
        (self.path / "index.json").write_text(json.dumps(wire))
        return self

    def packed(self, path: Path) -> Path:
        """The layout as one tar archive."""
        with tarfile.open(path, "w") as archive:
            archive.add(self.path, ".")
        return path


def docker_archive(path: Path, layers: Sequence[bytes], *names: str, mode: str = "w", **run: Any) -> Path:
    """As `docker save` wrote it before version 25: layers twice, the second time as a link."""
    wire = config(layers, **run)
    config_name = f"{hashlib.sha256(wire).hexdigest()}.json"
    layer_names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": config_name, "RepoTags": list(names), "Layers": layer_names}]
    members = [file(config_name, wire), file("manifest.json", json.dumps(manifest).encode())]
    for name, content in zip(layer_names, layers, strict=True):
        told = f"{hashlib.sha256(content).hexdigest()}.tar"
        members += [file(told, content), symlink(name, f"../{told}")]
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return path
