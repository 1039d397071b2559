from __future__ import annotations

import pytest

from cgroupfs import UNLIMITED, CgroupGone, Refused
from enforcer.lease import Lease, compare_and_set
from tests.enforcer.texts import MIB

MEMORY = "memory_max_bytes"


class Kernel:
    """One field whose writes can be refused."""

    def __init__(self, value: object, usage: int | None = 0, error: Exception | None = None) -> None:
        self.value = value
        self.usage = usage
        self.error = error

    def read(self) -> object:
        return self.value

    def write(self, value: object) -> None:
        if self.error is not None:
            raise self.error
        self.value = value

    def usage_bytes(self) -> int | None:
        return self.usage


def test_what_is_still_ours_is_restored() -> None:
    kernel = Kernel(128 * MIB)

    assert compare_and_set(kernel, MEMORY, 128 * MIB, 64 * MIB) == ("restored", "")
    assert kernel.value == 64 * MIB


def test_what_somebody_else_changed_is_left_alone() -> None:
    kernel = Kernel(256 * MIB)

    result, why = compare_and_set(kernel, MEMORY, 128 * MIB, 64 * MIB)

    assert (result, kernel.value) == ("drift", 256 * MIB)
    assert why == f"memory_max_bytes is {256 * MIB}, not {128 * MIB}: somebody else changed it"


def test_what_was_never_written_needs_no_restoring() -> None:
    assert compare_and_set(Kernel(UNLIMITED), MEMORY, 64 * MIB, UNLIMITED) == ("already", "")


def test_memory_is_not_taken_back_below_its_usage() -> None:
    kernel = Kernel(128 * MIB, usage=100 * MIB)

    result, why = compare_and_set(kernel, MEMORY, 128 * MIB, 64 * MIB)

    assert (result, kernel.value) == ("retry", 128 * MIB)
    assert why == "waiting until 38 MiB are freed, so that 64 MiB fit"


@pytest.mark.parametrize(
    ("error", "result"),
    [(CgroupGone("/x"), "gone"), (Refused("/x", "memory.limit_in_bytes", "1", 16, "busy"), "retry")],
)
def test_a_write_that_fails_is_told_or_tried_again(error: Exception, result: str) -> None:
    assert compare_and_set(Kernel(128 * MIB, error=error), MEMORY, 128 * MIB, 96 * MIB)[0] == result


def test_a_frozen_container_is_thawed() -> None:
    kernel = Kernel("frozen")

    assert compare_and_set(kernel, "freezer", "frozen", "thawed") == ("restored", "")


def test_a_lease_travels_as_json() -> None:
    lease = Lease(
        "web|7|memory_max_bytes", "/cgwarden/web", 7, MEMORY, UNLIMITED, ((5, 64 * MIB), (9, UNLIMITED))
    )

    assert Lease.from_wire(lease.to_wire()) == lease


def test_a_lease_goes_on_with_its_next_step() -> None:
    lease = Lease("k", "/x", 7, MEMORY, 3, ((5, 2), (9, 1)))

    after = lease.advanced()

    assert after is not None
    assert (after.expect, after.steps) == (2, ((9, 1),))
    assert after.advanced() is None
