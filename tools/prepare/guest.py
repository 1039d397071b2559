"""What the guest is made of, kept in ``.cache/guest``: a kernel, a way to boot it, a Python.

Debian's kernel is unpacked and never installed, so that this machine's own boot menu stays as it is. The
guest sees this machine's files, but slowly: what Python needs is put on a disk image beside them.
"""

import importlib.metadata
import lzma
import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tools.prepare import debian
from tools.prepare.commands import call
from tools.prepare.python import PIP, VENV_PYTHON, site_packages
from tools.prepare.steps import ROOT, STAMPS, SetupFailed

GUEST: Final = ROOT / ".cache" / "guest"
KERNEL: Final = GUEST / "kernel"
VIRTME: Final = GUEST / "virtme"
PYTHON_IMAGE: Final = GUEST / "python.img"
BINDS: Final = "binds"
_KERNEL_PACKAGE: Final = "linux-image-amd64"
_PROGRAMS: Final = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "modprobe": "kmod",
    "depmod": "kmod",
    "mke2fs": "e2fsprogs",
    "/usr/lib/systemd/systemd": "systemd",
    "ip": "iproute2",
    "rdma": "iproute2",
    "nsenter": "util-linux",
}
# Parts of the kernel's modules that the guest or a test can want; the rest is 350 MB.
MODULES: Final = (
    "arch", "block", "crypto", "lib", "mm", "net/9p", "net/core", "net/sched",
    "drivers/block", "drivers/dax", "drivers/char", "drivers/input",
    # Device mapper without md: that would make a disk of any number of its major that is asked for.
    "drivers/md/dm-mod.ko", "drivers/md/dm-thin-pool.ko", "drivers/md/dm-bufio.ko",
    "drivers/md/dm-bio-prison.ko", "drivers/md/persistent-data",
    "drivers/net/dummy.ko", "drivers/net/veth.ko",
    "drivers/infiniband/core", "drivers/infiniband/sw/rxe", "net/ipv4/udp_tunnel.ko",
    "net/ipv6/ip6_udp_tunnel.ko", "drivers/scsi", "drivers/virtio",
    "fs/9p", "fs/ext4", "fs/fscache", "fs/fuse", "fs/jbd2", "fs/mbcache.ko", "fs/netfs", "fs/overlayfs",
)  # fmt: skip
# Distributions that the tests in there import, beside what cgwarden itself needs; with what those need.
_TEST_PACKAGES: Final = ("pytest", "pytest-timeout", "hypothesis")
_NAME: Final = re.compile(r"[\w.-]+")
_NOT_COPIED: Final = (
    "test", "tests", "site-packages", "dist-packages", "idlelib", "lib2to3", "tkinter", "turtledemo",
    "ensurepip", "config-*", "*.a", "*.opt-?.pyc",
)  # fmt: skip


def missing_packages() -> list[str]:
    """Debian packages of the programs that start the guest and are not here."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = (package for program, package in _PROGRAMS.items() if shutil.which(program, path=path) is None)
    return list(dict.fromkeys(missing))


def install_packages(log: Path) -> None:
    """The emulator and the small programs around it."""
    debian.install(missing_packages(), log)


def fetch_kernel(log: Path) -> None:
    """Debian's kernel of this release with the modules that we use."""
    package = debian.real_package(_KERNEL_PACKAGE, re.compile(r"linux-image-\d\S*"), log)
    shutil.rmtree(KERNEL, ignore_errors=True)
    with debian.unpacked(package, log) as root:
        # A release with merged /usr may have them in either place.
        modules = next(root.glob("**/modules/*/kernel")).parent
        target = KERNEL / "lib" / "modules" / modules.name
        for part in MODULES:
            _copy_modules(modules / "kernel" / part, target / "kernel" / part)
        for table in modules.glob("modules.*"):
            shutil.copy2(table, target)
        (KERNEL / "boot").mkdir(parents=True)
        image = next(root.glob("boot/vmlinuz-*"))
        shutil.copy2(image, KERNEL / "boot")
    call(["/sbin/depmod", "-b", KERNEL, modules.name], log)


def kernel_image() -> Path | None:
    """The kernel that boots; None before it was fetched."""
    return next(KERNEL.glob("boot/vmlinuz-*"), None)


def has_kernel() -> bool:
    """The kernel and the table of its modules, which comes last."""
    return kernel_image() is not None and any(KERNEL.glob("lib/modules/*/modules.dep.bin"))


def install_virtme(log: Path) -> None:
    """virtme-ng, of which only the part without dependencies is used, outside of the environment."""
    shutil.rmtree(VIRTME, ignore_errors=True)
    lock = ROOT / "requirements" / "guest.txt"
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:"]
    call([*PIP, "install", *options, "--target", VIRTME, "-r", lock], log)


def has_virtme() -> bool:
    """The program that boots the guest is there."""
    return (VIRTME / "virtme" / "commands" / "run.py").is_file()


def make_python_image(log: Path) -> None:
    """The environment's interpreter, its library, and the pinned packages that the tests import."""
    with tempfile.TemporaryDirectory(dir=STAMPS) as scratch:
        root = Path(scratch)
        binds = [*_copy_interpreter(root), _copy_library(root), _copy_packages(root)]
        (root / BINDS).write_text("".join(f"{path}\n" for path in binds))
        make_image(root, PYTHON_IMAGE, log)


def make_image(root: Path, image: Path, log: Path) -> None:
    """A file system with what is below `root`; nobody ever sees half of it."""
    kib = sum(file.lstat().st_size // 1024 + 4 for file in root.rglob("*"))
    scratch = image.with_suffix(".new")
    scratch.unlink(missing_ok=True)
    scratch.parent.mkdir(parents=True, exist_ok=True)
    size = f"{kib * 5 // 4 + 8192}k"
    call(["/sbin/mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", root, scratch, size], log)
    os.replace(scratch, image)


def place(root: Path, path: Path) -> Path:
    """Where `path` of this machine lies below `root`."""
    return root / path.relative_to("/")


def _copy_modules(source: Path, target: Path) -> None:
    # A module that is named alone may be compressed, and then has a longer name.
    found = source.rglob("*") if source.is_dir() else source.parent.glob(f"{source.name}*")
    for file in found:
        if not file.is_file():
            continue
        copy = target.parent / file.relative_to(source.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        # The program that loads the first of them knows no compression.
        if file.suffix == ".xz":
            copy.with_suffix("").write_bytes(lzma.decompress(file.read_bytes()))
        else:
            shutil.copy2(file, copy)


def _copy_interpreter(root: Path) -> Iterator[Path]:
    program = VENV_PYTHON.resolve()
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    libraries = [Path(path) for path in re.findall(r"=> (/\S+)", listed)]
    for path in (program, *libraries):
        copy = place(root, path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
        yield path


def _copy_library(root: Path) -> Path:
    library = Path(sysconfig.get_path("stdlib"))
    ignore = shutil.ignore_patterns(*_NOT_COPIED)
    shutil.copytree(library, place(root, library), symlinks=True, ignore=ignore, dirs_exist_ok=True)
    return library


def _product_packages() -> list[str]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return list(tomllib.load(file)["project"]["dependencies"])


def _with_what_they_need(
    found: Mapping[str, importlib.metadata.Distribution], wanted: Sequence[str]
) -> set[str]:
    """Names of `wanted` requirements and of all that these require, without what is optional."""
    closed: set[str] = set()
    left = list(wanted)
    while left:
        match = _NAME.match(left.pop())
        name = _plain(match[0]) if match else ""
        if name in found and name not in closed:
            closed.add(name)
            left += [line for line in found[name].requires or () if "extra ==" not in line]
    return closed


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _copy_packages(root: Path) -> Path:
    packages = site_packages()
    found = {
        _plain(each.metadata["Name"]): each for each in importlib.metadata.distributions(path=[str(packages)])
    }
    for name in _with_what_they_need(found, [*_TEST_PACKAGES, *_product_packages()]):
        for file in found[name].files or ():
            source = Path(os.path.normpath(packages / file))
            if source.is_file() and source.is_relative_to(packages):
                copy = place(root, source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, copy)
    if not place(root, packages / "pytest").is_dir():
        raise SetupFailed("the environment holds no pytest: remove .venv and run this again")
    return packages
