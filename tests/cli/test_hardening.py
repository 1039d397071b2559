"""What doctor says of the kernel's own defences, on trees that show how a kernel answers."""

import os
from pathlib import Path

import pytest

from cgwarden.checks import Check
from cgwarden.hardening_checks import DEFENCES, Kernel, check_hardening
from cgwarden.host_checks import check_host

HARD = {
    "proc/sys/kernel/yama/ptrace_scope": "1",
    "proc/sys/dev/tty/legacy_tiocsti": "0",
    "proc/sys/kernel/oops_limit": "100",
    "proc/sys/kernel/warn_limit": "100",
    "sys/kernel/security/lockdown": "none [integrity] confidentiality",
    "sys/module/apparmor/parameters/enabled": "Y",
}


def report(root: Path, files: dict[str, str]) -> dict[str, Check]:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text + "\n")
    return {check["name"]: check for check in check_hardening(Kernel(str(root)))}


def test_every_line_says_what_it_replaces_and_none_counts_against_the_host() -> None:
    lines = check_hardening()

    assert len(lines) == len(DEFENCES)
    assert {line["state"] for line in lines} <= {"on", "off", "unknown"}
    assert {line["section"] for line in check_host(parent="cgwarden")["checks"]} == {"", "hardening"}  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "detail"), [("tracing", "kernel.yama.ptrace_scope=1 [HARDEN_PTRACE]")])
def test_what_is_on_is_told_with_its_value(tmp_path: Path, name: str, detail: str) -> None:
    found = report(tmp_path, HARD)

    assert (found[name]["state"], found[name]["detail"], found[name]["advice"]) == ("on", detail, "")
    assert found["terminals"]["state"] == found["oops limit"]["state"] == "on"


def test_what_is_off_is_told_with_what_it_costs_and_how_to_mend_it(tmp_path: Path) -> None:
    found = report(
        tmp_path, HARD | {"proc/sys/dev/tty/legacy_tiocsti": "1", "proc/sys/kernel/warn_limit": "0"}
    )

    assert found["terminals"]["detail"].startswith("dev.tty.legacy_tiocsti=1: programs can type into")
    assert found["terminals"]["advice"] == "dev.tty.legacy_tiocsti=0 (Linux 6.2)"
    assert found["oops limit"]["detail"].startswith("kernel.warn_limit=0: ")


def test_a_kernel_without_configuration_to_read_is_unknown_and_not_off(tmp_path: Path) -> None:
    assert report(tmp_path, HARD)["memory checks"]["state"] == "unknown"


def test_a_configuration_beside_the_kernel_is_read(tmp_path: Path) -> None:
    options = "CONFIG_HARDENED_USERCOPY=y\nCONFIG_INIT_ON_ALLOC_DEFAULT_ON=y\n# CONFIG_X is not set\n"
    path = f"boot/config-{os.uname().release}"

    found = report(tmp_path, HARD | {path: options})

    assert found["memory checks"]["detail"].startswith("built without SLAB_FREELIST_HARDENED: ")
