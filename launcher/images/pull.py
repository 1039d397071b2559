"""Pull from a registry, by skopeo, which knows registries, credentials and mirrors; we know what is here.

First manifest and configuration, held against their digests; then only those layers that are not here yet:
in the place of every other one lies an empty file of its size, which skopeo takes for the blob.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from launcher import defaults
from launcher.images.errors import BadImage, NoSkopeo, PullFailed
from launcher.images.found import Found, FoundLayer, check_digest
from launcher.images.importing import import_found
from launcher.images.layers import STAGING
from launcher.images.layout import INDEXES, parse_manifest, parse_manifests
from launcher.images.model import Image, parse_config, parse_object
from launcher.images.platforms import MACHINE, fits
from launcher.images.reference import Reference, parse_reference
from launcher.images.sources import DirectorySource
from launcher.images.store import ImageStore
from launcher.images.unpacking import Blob
from launcher.removal import try_remove_tree
from launcher.wanted import run_while_wanted

_POLICY: Final = "/etc/containers/policy.json"
_PASSED_ON: Final = re.compile(
    r"(?i)(https?|no|all)_proxy|SSL_CERT_(FILE|DIR)|REGISTRY_AUTH_FILE|XDG_RUNTIME_DIR|HOME"
)
# It dies with the daemon, and no file of it grows past the limit of a layer.
_EXEC: Final = (
    "import ctypes,os,resource,sys; ctypes.CDLL(None).prctl(1,9); "
    "resource.setrlimit(resource.RLIMIT_FSIZE,(int(sys.argv[1]),)*2); os.execv(sys.argv[2],sys.argv[2:])"
)
_PREFIX: Final = re.compile(r'^Error parsing image name "[^"]*": ')
_LONGEST_TOLD: Final = 300
_LOG_LINE: Final = re.compile(r'time="[^"]*" level=\w+ msg=(.*)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """What to pull, and how to get at it. `insecure`: plain HTTP, or any certificate."""

    reference: Reference
    insecure: bool = False
    auth_file: str = ""

    @property
    def source(self) -> str:
        """As skopeo takes it: a digest says all, and a tag beside it is refused."""
        if self.reference.digest:
            return self.at(self.reference.digest)
        return f"docker://{self.reference.name}:{self.reference.tag}"

    def at(self, digest: str) -> str:
        """Another manifest of the same repository."""
        return f"docker://{self.reference.name}@{digest}"


def pull_image(store: ImageStore, ref: str, *, insecure: bool = False, auth_file: str = "") -> Image:
    """Pull an image and name it; what is here already is not fetched. NoSkopeo, PullFailed, BadImage."""
    pull = Pull(reference=parse_reference(ref), insecure=insecure, auth_file=auth_file)
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(_scratch(store))
        skopeo = functools.partial(_skopeo, _find_skopeo(), scratch, pull, store.limits.layer_bytes)
        top = _read_top(skopeo, pull)
        digest, manifest = _choose(skopeo, pull, top)
        config_digest, layers = parse_pulled(manifest, ref)
        config = skopeo("inspect", ("--config", "--raw", pull.at(digest)))
        check_digest(config, config_digest, "the image's configuration")
        diff_ids = parse_config(config).layers
        here = [store.layers.pin_existing(diff_id) for diff_id in diff_ids]
        stack.callback(store.layers.unpin, list(itertools.compress(diff_ids, here)))
        blobs = _make_blob_dir(scratch, itertools.compress(manifest["layers"], here))
        if not all(here) or len(here) != len(layers):
            target = ("--dest-shared-blob-dir", blobs, "--dest-oci-accept-uncompressed-layers")
            skopeo("copy", ("--quiet", *target, pull.at(digest), f"oci:{scratch}/layout:pulled"))
        source = stack.enter_context(contextlib.closing(DirectorySource(blobs)))
        return import_found(
            store,
            Found(
                config=config,
                layers=tuple(FoundLayer(layer, functools.partial(_open, source, layer)) for layer in layers),
                references=(str(pull.reference),),
                digest=_digest(top),
            ),
            "image.pull",
        )


def _read_top(skopeo: Any, pull: Pull) -> bytes:
    """What the name stands for: a manifest, or an index of several."""
    top: bytes = skopeo("inspect", ("--raw", pull.source))
    wanted = pull.reference.digest
    return check_digest(top, wanted, "what the registry sent") if wanted else top


def _choose(skopeo: Any, pull: Pull, top: bytes) -> tuple[str, Mapping[str, Any]]:
    """(digest, manifest) of the image for this machine."""
    wire = parse_object(top, "what the registry sent")
    if wire.get("mediaType") not in INDEXES and "manifests" not in wire:
        return _digest(top), wire
    for descriptor in parse_manifests(top, "the registry's index"):
        platform = descriptor.get("platform") or {}
        if fits(platform) and platform.get("architecture") != "unknown":
            text = skopeo("inspect", ("--raw", pull.at(descriptor["digest"])))
            check_digest(text, descriptor["digest"], "what the registry sent")
            return descriptor["digest"], parse_object(text, "a manifest")
    raise BadImage(f"{pull.reference} has no image for this machine (linux/{MACHINE})")


def parse_pulled(manifest: Mapping[str, Any], ref: str) -> tuple[str, list[str]]:
    """The digests of the configuration and of the layers, the lowest first."""
    if manifest.get("schemaVersion") != 2:
        raise BadImage(f"{ref} is of a format that is older than 2016; push it again with a newer docker")
    parsed = parse_manifest(manifest)
    if parsed is None:
        raise BadImage(f"{ref} is something else than an image of a container")
    return parsed


def _make_blob_dir(scratch: str, here: Iterable[Mapping[str, Any]]) -> str:
    """A directory for blobs, with an empty file of the right size for each layer that need not be fetched."""
    blobs = f"{scratch}/blobs"
    os.makedirs(f"{blobs}/sha256")
    for descriptor in here:
        size = descriptor.get("size")
        if isinstance(size, int) and size >= 0:
            with open(f"{blobs}/{descriptor['digest'].replace(':', '/')}", "wb") as file:
                file.truncate(size)
    return blobs


def _open(blobs: DirectorySource, digest: str) -> Blob:
    blob = blobs.blob(digest.replace(":", "/"))
    if blob is None:
        raise PullFailed(f"skopeo did not bring the layer {digest}")
    return blob


def _digest(text: bytes) -> str:
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


@contextlib.contextmanager
def _scratch(store: ImageStore) -> Iterator[str]:
    path = f"{store.state_dir}/layers/{STAGING}{os.urandom(8).hex()}"
    os.mkdir(path, 0o700)
    try:
        yield path
    finally:
        try_remove_tree(path)


def _find_skopeo() -> str:
    found = shutil.which("skopeo", path=f"{os.environ.get('PATH', '')}:{defaults.PATH}")
    if found is None:
        raise NoSkopeo
    return found


def _skopeo(
    program: str, scratch: str, pull: Pull, most_bytes: int, verb: str, words: Sequence[str]
) -> bytes:
    """What skopeo writes to its standard output; PullFailed with its own words where it fails."""
    prefix = "src-" if verb == "copy" else ""
    command = [program, *([] if os.path.exists(_POLICY) else ["--insecure-policy"]), verb]
    if pull.insecure:
        command.append(f"--{prefix}tls-verify=false")
    if pull.auth_file:
        command += [f"--{prefix}authfile", pull.auth_file]
    done = run_while_wanted(
        [sys.executable, "-I", "-S", "-c", _EXEC, str(most_bytes), *command, *words],
        stdin=subprocess.DEVNULL,
        cwd=scratch,
        env={"PATH": defaults.PATH, "TMPDIR": scratch}
        | {key: value for key, value in os.environ.items() if _PASSED_ON.fullmatch(key)},
    )
    if done.returncode:
        raise PullFailed(f"cannot pull {pull.reference}: {_why(done.stderr.decode(errors='replace'), pull)}")
    return done.stdout


def _why(said: str, pull: Pull) -> str:
    lines = [line for line in said.splitlines() if line.strip()] or ["skopeo failed without a word"]
    text = lines[-1]
    if match := _LOG_LINE.fullmatch(text):
        with contextlib.suppress(ValueError):
            text = str(json.loads(match[1]))
    text = _PREFIX.sub("", text)
    host = pull.reference.name.partition("/")[0]
    if "HTTP response to HTTPS client" in text or "x509" in text:
        text = f"{host} has no certificate to be trusted; use insecure to pull all the same"
    for known, told in (
        ("manifest unknown", "there is no such tag or digest"),
        ("unauthorized", "log in first"),
    ):
        text = f"{told} ({text})" if known in text and told not in text else text
    return "".join(char if char.isprintable() else " " for char in text)[:_LONGEST_TOLD]
