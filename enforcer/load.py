"""Policy files to a set in force: each is read, checked and tested; broken ones are set aside and told."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from enforcer.document import Node, read_documents
from enforcer.errors import PolicyError
from enforcer.grammar import read_guard_rails, read_kind, read_policy
from enforcer.keys import Keys
from enforcer.policy import GuardRails, Policy, PolicySet
from enforcer.policy_tests import read_tests, run_test

SHIPPED = os.path.join(os.path.dirname(__file__), "policies")
_SUFFIXES = (".yaml", ".yml")
_TOP = ("apiVersion", "kind", "metadata", "spec")

# The documents of one file, each with its place; whole files are taken or set aside.
PolicyFile: TypeAlias = tuple[tuple[Node, Policy | GuardRails], ...]
NO_FILES: Mapping[str, PolicyFile] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Loaded:
    """What can be in force, every mistake that was found, and the files taken, by path."""

    policies: PolicySet = field(default_factory=PolicySet)
    errors: tuple[PolicyError, ...] = ()
    files: Mapping[str, PolicyFile] = field(default_factory=dict)


def load_policies(paths: Sequence[str]) -> PolicySet:
    """Every policy of the given files and directories (`*.yaml`, by name); a missing directory holds none.

    Raises:
        PolicyError: with file, line and column, for the first mistake, double name or failed test.
    """
    loaded = load_what_is_good(paths)
    if loaded.errors:
        raise loaded.errors[0]
    return loaded.policies


def load_what_is_good(paths: Sequence[str], before: Mapping[str, PolicyFile] = NO_FILES) -> Loaded:
    """The good files; of a broken one what `before` (an earlier load's `files`) has of it, else nothing."""
    chosen, files, errors = _Chosen(), dict[str, PolicyFile](), list[PolicyError]()
    for path in policy_files(paths):
        fresh, mistakes = _read_file(path)
        errors += mistakes
        for file in (fresh, before.get(path)):
            if file is None:
                continue
            clash = chosen.take(file)
            if clash is None:
                files[path] = file
                break
            if file is fresh:
                errors.append(clash)
    return Loaded(chosen.to_set(), tuple(errors), files)


def policy_files(paths: Iterable[str]) -> list[str]:
    """The files meant by `paths`, in the order in which they are read."""
    found: list[str] = []
    for path in paths:
        if os.path.isdir(path):
            found += [
                os.path.join(path, name) for name in sorted(os.listdir(path)) if name.endswith(_SUFFIXES)
            ]
        elif os.path.exists(path) or path.endswith(_SUFFIXES):
            found.append(path)
    return found


def _read_file(path: str) -> tuple[PolicyFile | None, list[PolicyError]]:
    """The file's documents, or the first mistake of each broken one."""
    try:
        nodes = read_documents(path)
    except PolicyError as e:
        return None, [e]
    documents, errors = list[tuple[Node, Policy | GuardRails]](), list[PolicyError]()
    for node in nodes:
        try:
            documents.append((node, _read_document(node)))
        except PolicyError as e:
            errors.append(e)
    return (None if errors else tuple(documents)), errors


def _read_document(node: Node) -> Policy | GuardRails:
    if read_kind(node) == "GuardRails":
        return read_guard_rails(node)
    policy = read_policy(node)
    for test in read_tests(Keys(node, _TOP).need("spec").child("tests")):
        run_test(policy, test)
    return policy


class _Chosen:
    """Grows by whole files: one whose name or guard rails clash with what is there is not taken."""

    def __init__(self) -> None:
        self._policies: dict[str, Policy] = {}
        self._rails: GuardRails | None = None

    def take(self, file: PolicyFile) -> PolicyError | None:
        """Add a file's documents, or say with which earlier one it clashes."""
        policies, rails = dict(self._policies), self._rails
        for node, document in file:
            if isinstance(document, GuardRails):
                if rails is not None:
                    return node.error("there are guard rails already: one document for each node")
                rails = document
            elif (other := policies.get(document.name)) is not None:
                taken = f'the name "{document.name}" is taken by {other.file}'
                return Keys(node, _TOP).need("metadata").error(taken)
            else:
                policies[document.name] = document
        self._policies, self._rails = policies, rails
        return None

    def to_set(self) -> PolicySet:
        """What was taken, in the order in which it is decided."""
        ordered = sorted(self._policies.values(), key=lambda policy: (-policy.priority, policy.name))
        return PolicySet(tuple(ordered), self._rails or GuardRails())
