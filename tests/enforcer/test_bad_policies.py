"""What is said to somebody who made a mistake in a policy file, word by word."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enforcer import PolicyError, load_policies
from enforcer.document import parse_documents
from enforcer.load import load_what_is_good
from tests.enforcer.texts import document

FULL = "when: {signal: memory.usedRatio, above: 90%}"
GOOD = f"{FULL}\ndo: [{{freeze: {{for: 5s}}}}]"
SCALE = (
    "when: {signal: memory.usedRatio, above: 90%}\ndo: [{scale: {field: memory.max, by: 125%, ceiling: 4Gi}}]"
)
BUSY_NODE = "when: {signal: cpu.usedRatio, of: node, above: 65%}"
CASES = [
    (
        "when: {signal: memory.usedRatio, above: 90%, for: 10}\ndo: [{freeze: {for: 5s}}]",
        'b.yaml:5:53: spec.when.for: "10" has no unit (did you mean "10s"?)',
    ),
    (f"{GOOD}\nmdoe: enforce", 'b.yaml:7:3: spec.mdoe: unknown key (did you mean "mode"?)'),
    (
        f"{GOOD}\nmode: enforce\nmode: observe",
        'b.yaml:8:3: spec.mode: the key "mode" is already there in line 7',
    ),
    (
        f"{GOOD}\nmode: on",
        'b.yaml:7:9: "on" is true/false to older YAML readers: put it in quotes or use true/false',
    ),
    (
        f"{GOOD}\nmode: propose",
        'b.yaml:7:9: spec.mode: "propose" is not supported yet (modes: observe, enforce)',
    ),
    (
        f"{GOOD}\nmode: enfroce",
        'b.yaml:7:9: spec.mode: "enfroce" is not one of observe, enforce (did you mean "enforce"?)',
    ),
    (f"{GOOD}\npriority: high", "b.yaml:7:13: spec.priority: must be a whole number, not a text"),
    (f"{GOOD}\npriority: 1001", "b.yaml:7:13: spec.priority: 1001 is not between 0 and 1000"),
    (f"{GOOD}\nsuspend: 1", "b.yaml:7:12: spec.suspend: must be true or false, not a number"),
    (f"{GOOD}\nlease: 25h", "b.yaml:7:10: spec.lease: 90000s is not between 1s and 86400s"),
    (f"{GOOD}\nexpect: {{}}", "b.yaml:7:3: spec.expect: not supported yet"),
    (f"{GOOD}\ncooldown: {{damper: {{}}}}", "b.yaml:7:14: spec.cooldown.damper: not supported yet"),
    (
        f"{GOOD}\nbudget: 1.5",
        'b.yaml:7:11: "1.5" is a floating-point number: write a quantity with a unit, such as "25%"',
    ),
    (
        f"{GOOD}\ntargets: {{classes: [batch]}}",
        'b.yaml:7:23: spec.targets.classes[0]: "batch" is no class '
        "(known: guaranteed, burstable, besteffort)",
    ),
    (
        "when: {signal: memory.usdRatio, above: 90%}\ndo: [{freeze: {for: 5s}}]",
        'b.yaml:5:18: spec.when.signal: unknown signal "memory.usdRatio" (did you mean "memory.usedRatio"?)',
    ),
    (
        "when: {signal: slo.slack, above: 90%}\ndo: [{freeze: {for: 5s}}]",
        'b.yaml:5:18: spec.when.signal: the signal "slo.slack" is not supported yet',
    ),
    (
        "when: {signal: memory.usedRatio}\ndo: [{freeze: {for: 5s}}]",
        'b.yaml:5:9: spec.when: exactly one of "above" and "below" must be given',
    ),
    (
        "when: {signal: memory.usedRatio, above: 90%, clear: 95%}\ndo: [{freeze: {for: 5s}}]",
        'b.yaml:5:55: spec.when.clear: the leaving threshold must not lie above the entering one ("above")',
    ),
    (
        "when: {signal: memory.usedRatio, above: 90%, stat: mean}\ndo: [{freeze: {for: 5s}}]",
        'b.yaml:5:9: spec.when: the key "window" is missing: mean over which time?',
    ),
    (
        "when: {all: [{signal: memory.usedRatio, above: 90%}], any: []}\ndo: [{freeze: {for: 5s}}]",
        'b.yaml:5:9: spec.when: one of "all", "any" and "not" stands alone in its mapping',
    ),
    (
        "when: {not: {not: {not: {signal: memory.usedRatio, above: 90%}}}}\ndo: [{freeze: {for: 5s}}]",
        "b.yaml:5:27: spec.when.not.not.not: conditions may be nested 3 deep",
    ),
    (
        "when: {signal: memory.usedRatio, above: 90%}\ndo: [{freeze: {}}]",
        'b.yaml:6:17: spec.do[0].freeze: a freeze by a policy needs an end: the key "for" is missing',
    ),
    (
        "when: {signal: memory.usedRatio, above: 90%}\ndo: [{freeze: {for: 2m}}]",
        "b.yaml:6:23: spec.do[0].freeze.for: 120s is not between 1s and 60s",
    ),
    (
        "when: {signal: memory.usedRatio, above: 90%}\ndo: [{kill: {}}]",
        "b.yaml:6:9: spec.do[0].kill: not supported yet",
    ),
    (
        "when: {signal: memory.usedRatio, above: 90%}\ndo: [{scale: {field: memory.high, by: 125%}}]",
        'b.yaml:6:24: spec.do[0].scale.field: the field "memory.high" is not supported yet',
    ),
    (
        "when: {signal: memory.usedRatio, above: 90%}\ndo: [{scale: {field: memory.max, by: 125%}}]",
        'b.yaml:6:16: spec.do[0].scale: an action that raises a limit needs a "ceiling"',
    ),
    (
        f"{BUSY_NODE}\ndo: [{{control: {{field: cpu.quota, law: senpai}}}}]",
        'b.yaml:6:42: spec.do[0].control.law: the law "senpai" is not supported yet',
    ),
    (
        f"{BUSY_NODE}\ndo: [{{control: {{field: cpu.quota, law: suppress}}}}]",
        'b.yaml:6:18: spec.do[0].control: the law suppress shares out the node: it needs "scope: node"',
    ),
    ("do: [{freeze: {for: 5s}}]", 'b.yaml:5:3: spec: the key "when" is missing'),
    ("when: [", "b.yaml:6:1: not YAML: expected the node content, but found '<stream end>'"),
    (f"{GOOD}\nlabels: &a [*a]", "b.yaml:7:11: anchors and aliases are not accepted: write the value out"),
    (
        f"{GOOD}\nlabels: !!python/object:os.system {{}}",
        "b.yaml:7:11: the tag tag:yaml.org,2002:python/object:os.system is not accepted: "
        "policies are plain data",
    ),
    (
        f"{SCALE}\ntests: [{{name: t, series: {{web: {{memory.usedRatio: 50% x3}}}}, "
        "expect: [{at: 1s, action: scale, target: web}]}]",
        'b.yaml:7:73: spec.tests[0].expect[0]: test "t" of example failed: expected scale of web at 1s, '
        "but nothing was done",
    ),
    (
        f"{SCALE}\ntests: [{{name: t, series: {{web: {{memory.usedRatio: 50%}}}}, expect: []}}]",
        'b.yaml:7:54: spec.tests[0].series.web.memory.usedRatio: "50%" is not of the form "VALUE xCOUNT"',
    ),
]


def error_of(text: str, directory: Path) -> str:
    file = directory / "b.yaml"
    file.write_text(text)
    with pytest.raises(PolicyError) as refused:
        load_policies([str(file)])
    return str(refused.value)


@pytest.mark.parametrize(
    ("spec", "message"), CASES, ids=[message.split(": ", 1)[1][:40] for _, message in CASES]
)
def test_a_mistake_is_told_with_its_place_and_a_suggestion(spec: str, message: str, tmp_path: Path) -> None:
    assert error_of(document(spec), tmp_path) == message


def test_another_version_is_not_guessed_at(tmp_path: Path) -> None:
    text = document(GOOD).replace("v1alpha1", "v2")

    assert error_of(text, tmp_path) == (
        'b.yaml:1:13: apiVersion: "cgwarden.dev/v2" is not a version this program reads '
        '(it reads "cgwarden.dev/v1alpha1")'
    )


def test_two_policies_of_one_name_are_refused(tmp_path: Path) -> None:
    text = f"{document(GOOD)}---\n{document(GOOD)}"

    assert error_of(text, tmp_path) == 'b.yaml:10:11: metadata: the name "example" is taken by b.yaml'


def test_good_files_load_beside_broken_ones_and_every_mistake_is_told(tmp_path: Path) -> None:
    bad = document(f"{GOOD}\nmdoe: enforce", "bad")
    (tmp_path / "a.yaml").write_text(document(GOOD, "a"))
    (tmp_path / "b.yaml").write_text(f"{bad}---\n{bad}")
    (tmp_path / "c.yaml").write_text("a: [")
    (tmp_path / "d.yaml").write_text(document(GOOD, "d"))
    (tmp_path / "e.yaml").write_text(f"{document(GOOD, 'e')}---\n{document(GOOD, 'a')}")

    loaded = load_what_is_good([str(tmp_path)])

    assert [policy.name for policy in loaded.policies.policies] == ["a", "d"]
    assert [str(error) for error in loaded.errors] == [
        'b.yaml:7:3: spec.mdoe: unknown key (did you mean "mode"?)',
        'b.yaml:15:3: spec.mdoe: unknown key (did you mean "mode"?)',
        "c.yaml:1:5: not YAML: expected the node content, but found '<stream end>'",
        'e.yaml:10:11: metadata: the name "a" is taken by a.yaml',
    ]


def test_the_last_good_version_of_a_broken_file_gives_way_to_a_new_file_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(document(GOOD, "one"))
    before = load_what_is_good([str(tmp_path)])
    (tmp_path / "b.yaml").write_text("a: [")
    (tmp_path / "a.yaml").write_text(document(GOOD, "one"))

    after = load_what_is_good([str(tmp_path)], before.files)

    assert [policy.file for policy in after.policies.policies] == ["a.yaml"]
    assert [error.file for error in after.errors] == ["b.yaml"]


def test_a_file_that_is_far_too_long_is_refused_unread(tmp_path: Path) -> None:
    assert (
        error_of("# " + "x" * 10_000_000, tmp_path)
        == "b.yaml: is larger than 256 KiB, more than any policy needs"
    )


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(PolicyError, match=r"b\.yaml: is not UTF-8 \(byte 0\)"):
        load_policies([str(tmp_path)])


def test_the_other_files_of_a_directory_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("not: [yaml")
    (tmp_path / "good.yaml").write_text(document(GOOD))

    assert [policy.name for policy in load_policies([str(tmp_path)]).policies] == ["example"]


BOMBS = {
    "billion laughs": "a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]",
    "10,000 levels of lists": "[" * 10_000,
    "10,000 levels of mappings": "".join(" " * n + "a:\n" for n in range(200)) + "{a: " * 10_000,
    "a python object": "a: !!python/object/apply:os.system ['true']",
    "an alias of itself": "a: &a\n  b: *a",
    "very many values": "a: [" + "1," * 100_000 + "1]",
}
_IN_A_SMALL_PROCESS = """
import resource, sys
from enforcer import PolicyError, load_policies
from enforcer.load import SHIPPED
load_policies([SHIPPED])
with open("/proc/self/statm") as statm:
    size = int(statm.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (20 << 20), size + (20 << 20)))
used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
resource.setrlimit(resource.RLIMIT_CPU, (used + 3, used + 3))
try:
    load_policies([sys.argv[1]])
except PolicyError as refused:
    print(refused)
"""


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_yaml_bomb_is_refused_with_little_memory_and_time(bomb: str, tmp_path: Path) -> None:
    file = tmp_path / "bomb.yaml"
    file.write_text(BOMBS[bomb])

    done = subprocess.run(
        [sys.executable, "-c", _IN_A_SMALL_PROCESS, str(file)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("bomb.yaml:")


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_any_text_is_a_tree_or_a_policy_error(text: str) -> None:
    try:
        nodes = parse_documents(text, "f.yaml")
    except PolicyError as refused:
        assert str(refused).startswith("f.yaml")
    else:
        assert isinstance(nodes, list)
