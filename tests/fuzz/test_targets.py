"""No parser without a target, no target without seeds, and a short run of each."""

from __future__ import annotations

import importlib
import inspect
import itertools
import pkgutil
import re
from collections.abc import Callable, Iterator

import pytest

import cgroupfs
from tests.fuzz import plain
from tests.fuzz.harness import CORPUS, check, read_seeds
from tests.fuzz.targets import TARGETS, Target

PARSER = re.compile(r"parse_\w+|make_\w+_parser|split_messages")
INPUTS = 2000
each_target = pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)


def find_parsers() -> Iterator[str]:
    """Every public function of cgroupfs that is called as a parser is, where it is defined."""
    for found in pkgutil.walk_packages(cgroupfs.__path__, "cgroupfs."):
        if found.name.endswith("__main__"):
            continue
        module = importlib.import_module(found.name)
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if PARSER.fullmatch(name) and function.__module__ == found.name:
                yield f"{found.name.removeprefix('cgroupfs.')}.{name}"


def test_every_parser_has_a_target_and_every_target_a_parser() -> None:
    ours = {target.parser for target in TARGETS.values() if not target.parser.startswith("launcher.")}

    assert ours == set(find_parsers())


def test_the_corpus_has_a_directory_for_each_target_and_for_nothing_else() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)


@each_target
def test_every_target_starts_from_text_that_it_understands(target: Target) -> None:
    seeds = read_seeds(target)

    assert sum(check(target, seed) for seed in seeds) > 0


@each_target
def test_a_parser_gives_a_value_or_a_parse_error_whatever_it_saw_before(target: Target) -> None:
    for data in plain.mutate(read_seeds(target), target.name, INPUTS):
        check(target, data)


def test_the_same_name_gives_the_same_inputs() -> None:
    first, second, other = (list(plain.mutate([b"max 1\n"], name, 50)) for name in ("a", "a", "b"))

    assert first == second
    assert first != other


def test_a_run_finds_a_parser_that_lets_another_error_out() -> None:
    target = Target("x", "x", lambda: lambda raw: int(raw))

    with pytest.raises(ValueError, match="invalid literal"):
        for data in plain.mutate([b"1"], "x", INPUTS):
            check(target, data)


def test_a_run_finds_a_parser_that_remembers() -> None:
    def make() -> Callable[[bytes], object]:
        counter = itertools.count()
        return lambda raw: next(counter)

    with pytest.raises(AssertionError, match="after other inputs"):
        for data in plain.mutate([b"1"], "x", INPUTS):
            check(Target("x", "x", make), data)
