"""Which steps each make target needs, in order."""

import os
from typing import Final

from tools.prepare import binaries, dashboard, guest, libraries, python
from tools.prepare.steps import Step

_UI_SOURCES: Final = ("web/ui", "hatch_build.py")

_RUN: Final = (
    Step("Debian packages", (), python.install_venv_module, python.can_make_venv),
    Step("Libraries", (), libraries.install, libraries.are_settled),
    Step("Python environment", (), python.make_venv, python.VENV_PYTHON.exists, version=python.INTERPRETER),
    Step(
        "Python packages",
        ("requirements/dev.txt",),
        python.install_packages,
        python.has_packages,
        version=python.INTERPRETER,
    ),
    Step("Dashboard", _UI_SOURCES, dashboard.build, dashboard.is_built),
    Step(
        "cgwarden",
        ("pyproject.toml",),
        python.install_cgwarden,
        python.has_cgwarden,
        version=python.INTERPRETER,
    ),
)
_CHECK: Final = (
    Step("helm", ("requirements/helm.txt",), binaries.fetch_helm, binaries.has_helm),
    Step(
        "Dashboard packages",
        ("web/ui/package-lock.json",),
        dashboard.install_packages,
        dashboard.has_packages,
    ),
)
_TEST: Final = (
    Step("Test packages", (), binaries.install_test_packages, lambda: not binaries.missing_test_packages()),
    Step("promtool", (), binaries.fetch_promtool, binaries.has_promtool),
    Step("Image registry", (), binaries.fetch_registry, binaries.has_registry),
)
_FUZZ: Final = (Step("Fuzzer", ("requirements/fuzz.txt",), python.install_fuzzer, python.has_fuzzer),)
_GUEST: Final = (
    Step("Guest programs", (), guest.install_packages, lambda: not guest.missing_packages()),
    Step("Guest kernel", (), guest.fetch_kernel, guest.has_kernel, version=" ".join(guest.MODULES)),
    Step("AppArmor parser", (), binaries.fetch_apparmor_parser, binaries.has_apparmor_parser),
    Step("Guest boot", ("requirements/guest.txt",), guest.install_virtme, guest.has_virtme),
    Step(
        "Guest Python",
        ("requirements/dev.txt", "pyproject.toml", "tools/prepare/guest.py"),
        guest.make_python_image,
        guest.PYTHON_IMAGE.is_file,
        version=python.INTERPRETER,
    ),
)
_BENCH: Final = (
    Step(
        "Bench packages", (), binaries.install_bench_packages, lambda: not binaries.missing_bench_packages()
    ),
)


def steps_for(goal: str) -> tuple[Step, ...]:
    """Steps of one goal; ``run`` is part of every other, ``check`` of ``test``."""
    if os.environ.get("CGWARDEN_SKIP_UI") == "1":
        return tuple(step for step in _steps(goal) if not step.name.startswith("Dashboard"))
    return _steps(goal)


def _steps(goal: str) -> tuple[Step, ...]:
    return {
        "run": _RUN,
        "check": _RUN + _CHECK,
        "test": _RUN + _CHECK + _TEST + _GUEST,
        "guest": _RUN + _GUEST,
        "fuzz": _RUN + _FUZZ,
        "bench": _RUN + _BENCH,
    }[goal]
