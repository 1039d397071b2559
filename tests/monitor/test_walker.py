"""A visit that hangs costs its own thing and one thread; everything else goes on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from monitor.walker import MOST_STUCK, Walker

QUICK_SEC = 0.02
DEADLINE_SEC = 10.0


class Gates:
    """Things named in `closed` hang until they are opened."""

    def __init__(self, *closed: str) -> None:
        self._gates = {name: threading.Event() for name in closed}

    def visit(self, name: str) -> str | None:
        if name in self._gates:
            assert self._gates[name].wait(DEADLINE_SEC)
        return None if name == "silent" else name.upper()

    def open(self) -> None:
        for gate in self._gates.values():
            gate.set()


@contextmanager
def walking(gates: Gates) -> Iterator[Walker[str, str]]:
    walker: Walker[str, str] = Walker(QUICK_SEC)
    try:
        yield walker
    finally:
        gates.open()
        while walker.stuck:
            walker.take_returned()
        walker.close()


def test_results_come_in_order_and_none_is_no_result() -> None:
    with walking(Gates()) as walker:
        walk = walker.walk(["a", "silent", "b"], Gates().visit)

    assert walk.results == [("a", "A"), ("b", "B")]
    assert (list(walk.pending), walker.stuck) == ([], set())


def test_what_hangs_is_left_and_the_rest_is_visited() -> None:
    gates = Gates("hung")
    with walking(gates) as walker:
        walk = walker.walk(["a", "hung", "b"], gates.visit)

        assert walk.results == [("a", "A"), ("b", "B")]
        assert walker.stuck == {"hung"}


def test_what_hangs_is_not_visited_again_before_it_came_back() -> None:
    gates = Gates("hung")
    with walking(gates) as walker:
        walker.walk(["hung"], gates.visit)
        meanwhile = walker.walk(["hung", "b"], gates.visit)
        gates.open()
        returned: list[str] = []
        while not returned:
            returned = walker.take_returned()
        again = walker.walk(["hung", "b"], gates.visit)

    assert meanwhile.results == [("b", "B")]
    assert returned == ["hung"]
    assert again.results == [("hung", "HUNG"), ("b", "B")]


def test_there_are_only_so_many_threads_to_hang() -> None:
    names = [f"t{i}" for i in range(MOST_STUCK + 3)]
    gates = Gates(*names)
    with walking(gates) as walker:
        walk = walker.walk(names, gates.visit)

        assert walker.stuck == set(names[:MOST_STUCK])
        assert list(walk.pending) == names[MOST_STUCK:]


def test_a_bug_in_a_visit_surfaces_and_the_next_walk_works() -> None:
    def fail(_name: str) -> str:
        raise ZeroDivisionError

    with walking(Gates()) as walker:
        with pytest.raises(ZeroDivisionError):
            walker.walk(["a"], fail)

        assert walker.walk(["a"], Gates().visit).results == [("a", "A")]
