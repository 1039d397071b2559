"""The shapes of documents about images, and about the changes that become one."""

from typing import Final

from web.shapes import ANY_OBJECT, FLAG, TEXT, TEXT_MAP, TEXTS, WHOLE, Schema, many, maybe, ref, shape

_IMAGE: Final[dict[str, Schema]] = {
    "id": TEXT,
    "references": TEXTS,
    "digests": TEXTS,
    "created_at": maybe(TEXT),
    "architecture": TEXT,
    "os": TEXT,
    "size_bytes": WHOLE,
    "layers": TEXTS,
    "config": ANY_OBJECT,
}

_IMPORT: Final[dict[str, Schema]] = {
    "path": TEXT,
    "reference": TEXT,
    "kind": {"type": "string", "enum": ["auto", "oci", "docker", "root"]},
    "entrypoint": TEXTS,
    "command": TEXTS,
    "env": TEXT_MAP,
    "workdir": TEXT,
    "user": TEXT,
}

_CHANGE: Final[dict[str, Schema]] = {
    "kind": {"type": "string", "enum": ["added", "changed", "deleted"]},
    "path": TEXT,
    "size_bytes": maybe(WHOLE),
}

IMAGE_SCHEMAS: Final[dict[str, Schema]] = {
    "Image": shape(_IMAGE),
    "ImageList": shape({"images": many(ref("Image"))}),
    "Changes": shape({"changes": many(shape(_CHANGE))}),
    "CommitWish": shape({"reference": TEXT}, optional=True),
    "PullWish": shape({"reference": TEXT, "insecure": FLAG, "auth_file": TEXT}, optional=True),
    "ImportWish": shape(_IMPORT, optional=True),
    "TagWish": shape({"reference": TEXT, "name": TEXT}, optional=True),
    "VerifyWish": shape({"reference": TEXT}, optional=True),
    "RemovedImages": shape({"references": TEXTS, "images": TEXTS, "layers": TEXTS}),
}
