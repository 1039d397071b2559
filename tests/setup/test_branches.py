"""The check of branches tells of what is pure and not taken, and of nothing else."""

from tools.check.branches import find_gaps


def measured(lines: list[int], branches: list[list[int]]) -> dict[str, object]:
    return {"missing_lines": lines, "missing_branches": branches, "functions": {}}


def test_a_pure_module_must_be_taken_whole() -> None:
    report = {"files": {"cgroupfs/values.py": measured([3], [[3, 4], [7, 9]])}}

    assert list(find_gaps(report)) == ["cgroupfs/values.py: not taken: 3, 7->9"]


def test_elsewhere_a_function_must_be_whose_name_says_that_it_is_pure() -> None:
    functions = {
        "parse_cpu_max": measured([5], []),
        "CpuV2.plan_limits": measured([], [[8, 9]]),
        "CpuV2.read_limits": measured([12], []),
        "make_child": measured([15], []),
        "_check_offered": measured([], []),
    }
    report = {"files": {"cgroupfs/cpu.py": {**measured([5, 12, 15], []), "functions": functions}}}

    assert list(find_gaps(report)) == [
        "cgroupfs/cpu.py parse_cpu_max: not taken: 5",
        "cgroupfs/cpu.py CpuV2.plan_limits: not taken: 8->9",
    ]
