"""``python -m tools.guest [PYTEST ARG …]``: the kernel's tests inside the guest, whose verdict is ours.

``--shell COMMAND`` runs something else instead, at the top of this checkout; files in ``$RESULTS`` stay.
"""

import argparse
import os
import sys
from typing import Final

from tools.guest.boot import GuestFailed, boot
from tools.guest.verdict import read_verdict

_ROWS: Final = "tests/launcher/test_docker_internals.py"
DEFAULT_TESTS: Final = (
    "tests/cgroupfs",
    "tests/cli/test_each_kernel.py",
    "tests/launcher/test_security_apparmor.py",
    # The rows that this host cannot show.
    f"{_ROWS}::test_copy_on_write_block_devices_driver_devmapper",
    f"{_ROWS}::test_access_control_apparmor",
)
DEFAULT_TIMEOUT_SEC: Final = 1500.0


def main() -> int:
    """0 if all went well in there; else 1 and one line that says what did not."""
    parser = argparse.ArgumentParser(prog="python -m tools.guest", description=__doc__)
    parser.add_argument("--shell", metavar="COMMAND", help="run this instead of the tests")
    parser.add_argument("--timeout", type=float, default=DEFAULT_TIMEOUT_SEC, metavar="SEC")
    options, tests = parser.parse_known_args()
    command = ["sh", "-c", options.shell] if options.shell else pytest_command(tests)
    try:
        status = boot(command, timeout_sec=options.timeout)
        if options.shell:
            return status
        print(f"guest: {read_verdict(status, skips_fail=os.environ.get('CI') == 'true')}")
    except GuestFailed as e:
        print(f"guest: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nguest: interrupted", file=sys.stderr)
        return 130
    return 0


def pytest_command(arguments: list[str]) -> list[str]:
    """pytest on what needs a kernel; `arguments` come last, so that they win."""
    named = any(not argument.startswith("-") and "tests" in argument for argument in arguments)
    # Emulated, everything takes twenty times as long, and what is on the 9p root even more.
    options = ["-q", "-p", "no:cacheprovider", "-m", "kernel", "--timeout", "300", "--durations", "10"]
    where = [] if named else DEFAULT_TESTS
    return [sys.executable, "-m", "pytest", *options, "--junit-xml", "$RESULTS/junit.xml", *where, *arguments]


sys.exit(main())
