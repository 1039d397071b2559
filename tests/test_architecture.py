"""The rules of docs/architecture.md that a machine can hold: layers, one door to the kernel, sizes, words."""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("cgwarden", "web", "enforcer", "monitor", "launcher", "cgroupfs")
MOST_LINES = 400
# Files of a cgroup directory: nobody but cgroupfs names them, so nobody else can open them.
CGROUP_FILE = re.compile(
    r"(memory|cpu|cpuacct|cpuset|blkio|io|pids|freezer|devices|hugetlb|cgroup)\.[a-z_]+(\.[a-z_]+)*"
)
OPENERS = {"open", "read_text", "read_bytes", "write_text", "write_bytes", "pread", "openat2"}
# What only a list of downloads would say.
ARCHIVE_ADDRESS = re.compile(r"://\S+\.(whl|tgz|tar\.gz|tar\.xz|zip|deb)\b")


def modules(*parts: str) -> list[Path]:
    return sorted(
        path for part in parts for path in (ROOT / part).rglob("*.py") if "node_modules" not in path.parts
    )


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, check=True
    ).stdout
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]


def test_imports_run_downwards_only() -> None:
    linter = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", modules("cgwarden", "web", "enforcer", "monitor", "launcher"), ids=named)
def test_cgroup_files_are_opened_in_cgroupfs_alone(path: Path) -> None:
    assert list(_cgroup_files_opened(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize(
    "source",
    [
        'open("/sys/fs/cgroup/memory/web/memory.limit_in_bytes").read()',
        'Path(directory, "cpu.stat").read_text()',
        'os.open("cgroup.procs", os.O_WRONLY, dir_fd=fd)',
    ],
)
def test_the_search_for_cgroup_files_finds_each_way_to_open_one(source: str) -> None:
    assert list(_cgroup_files_opened(ast.parse(source))) != []


def _cgroup_files_opened(tree: ast.AST) -> Iterator[str]:
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or _name_of(call.func) not in OPENERS:
            continue
        for node in ast.walk(call):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_cgroup_path(node.value):
                yield f"line {call.lineno}: {node.value}"


def _is_cgroup_path(text: str) -> bool:
    return "/sys/fs/cgroup" in text or CGROUP_FILE.fullmatch(text.rpartition("/")[2]) is not None


def _name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


@pytest.mark.parametrize("path", modules(*PARTS, "tools", "bench"), ids=named)
def test_a_module_says_why_it_exists(path: Path) -> None:
    why = ast.get_docstring(ast.parse(path.read_text()))

    assert why, "the first line is a docstring"


@pytest.mark.parametrize("path", modules(*PARTS, "tools", "bench", "tests"), ids=named)
def test_a_module_is_read_in_one_sitting(path: Path) -> None:
    lines = path.read_text().count("\n")

    assert lines <= MOST_LINES, "split it by purpose"


@pytest.mark.parametrize("path", modules("cgwarden", "web", "enforcer", "monitor", "launcher"), ids=named)
def test_no_name_above_cgroupfs_says_which_version_of_cgroups(path: Path) -> None:
    names = {token.string for token in _tokens(path) if token.type == tokenize.NAME}

    # A version is a word of its own in a name: cgroup_v2, CpuV1, is_v1.
    assert {name for name in names if re.search(r"(^|_)[vV][12]($|_)|[a-z]V[12]|cgroup[s]?2", name)} == set()


def _tokens(path: Path) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(path.read_text()).readline)


@pytest.mark.parametrize("path", modules(*PARTS), ids=named)
def test_trees_are_removed_by_the_one_function_that_crosses_no_mount(path: Path) -> None:
    assert "rmtree" not in {token.string for token in _tokens(path) if token.type == tokenize.NAME}


def test_no_module_is_called_utils() -> None:
    banned = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}

    controllers = {"cgroupfs/misc.py"}  # the kernel's own name for what it counts there
    found = {named(path) for path in modules(*PARTS, "tools", "bench", "tests") if path.stem in banned}

    assert found - controllers == set()


def test_locked_lists_carry_hashes_and_no_address() -> None:
    for path in tracked("requirements/*.txt"):
        text = path.read_text()
        assert "://" not in text, named(path)
        assert text.count("==") <= text.count("--hash=sha256:"), named(path)


def test_the_set_up_names_no_server() -> None:
    files = tracked(
        "Makefile", ".ci/*", "tools/**", "pyproject.toml", "web/ui/.npmrc", "hatch_build.py", "Containerfile"
    )

    assert [named(path) for path in files if "://" in path.read_text()] == []


def test_no_tracked_file_holds_the_address_of_a_download() -> None:
    texts = {path: path.read_bytes().decode(errors="replace") for path in tracked() if path != Path(__file__)}

    assert [named(path) for path, text in texts.items() if ARCHIVE_ADDRESS.search(text)] == []
