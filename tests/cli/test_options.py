"""The option parser: docker's habits, clear refusals, help that holds every flag."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgwarden.cli import ALIASES, MODULES
from cgwarden.cli.failures import CONFLICT, DENIED, DONE, FAILED, NO_DAEMON, TIMED_OUT, UNKNOWN, USAGE
from cgwarden.cli.options import JSON, Args, Option, UsageError, Verb

NUMBER = Option("-n", "--number", value="N", read=int, help="a number")
WORD = Option("-w", "--word", value="W", many=True, help="a word, often")
VERBOSE = Option("-v", "--verbose", help="a switch")
VERB = Verb("try", "Try.", lambda args: 0, options=(NUMBER, WORD, VERBOSE, JSON), words=(0, None))
COMMAND = Verb("go NAME CMD", "Go.", lambda args: 0, options=(NUMBER, VERBOSE), words=(1, None), command=True)


def parse(*argv: str) -> Args:
    return VERB.parse(argv)


@pytest.mark.parametrize(
    "argv", [["-n", "3"], ["-n3"], ["-n=3"], ["--number", "3"], ["--number=3"], ["-vn3"]]
)
def test_a_value_may_follow_stick_or_stand_after_equals(argv: list[str]) -> None:
    assert parse(*argv).get("number") == 3


def test_words_and_options_may_be_mixed_and_repeats_are_collected() -> None:
    args = parse("a", "-w", "x", "b", "--word=y", "-v")

    assert args.words == ["a", "b"]
    assert args.get("word") == ["x", "y"]
    assert args.on("verbose")


def test_after_two_dashes_everything_is_a_word() -> None:
    assert parse("--", "-v", "--number").words == ["-v", "--number"]


def test_a_program_s_own_options_are_left_alone() -> None:
    args = COMMAND.parse(["-v", "name", "ls", "-n", "--what"])

    assert args.words == ["name", "ls", "-n", "--what"]
    assert args.on("verbose")


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["--nubmer", "3"], "did you mean --number?"),
        (["-n"], "-n needs a value"),
        (["--number", "x"], "--number:"),
        (["--verbose=3"], "takes no value"),
        (["-z"], "--help"),
    ],
)
def test_a_slip_is_named_with_what_would_work(argv: list[str], hint: str) -> None:
    with pytest.raises(UsageError, match=hint.replace("?", r"\?")):
        parse(*argv)


@given(argv=st.lists(st.text(max_size=8), max_size=6))
def test_any_command_line_is_read_or_refused(argv: list[str]) -> None:
    try:
        args = VERB.parse(argv)
    except UsageError:
        return
    assert set(args.values) <= {"number", "word", "verbose", "json", "help"}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_the_help_of_every_verb_shows_every_flag_within_a_terminal(name: str) -> None:
    verb = __import__(f"cgwarden.cli.{MODULES[name]}", fromlist=["VERBS"]).VERBS[name]
    text = verb.help()

    assert all(spelling in text for option in verb.options for spelling in option.names)
    assert all(option.help for option in verb.options)
    assert max(map(len, text.splitlines())) <= 120


def test_every_alias_leads_to_a_verb() -> None:
    assert set(ALIASES.values()) <= set(MODULES)


def test_the_page_about_the_command_line_names_every_verb_and_exit_code() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/command-line.md").read_text()

    assert [name for name in MODULES if f"`{name}`" not in page and f"`cgwarden {name}" not in page] == [
        "help"
    ]
    codes = {DONE, FAILED, USAGE, UNKNOWN, CONFLICT, DENIED, NO_DAEMON, TIMED_OUT}
    assert all(f"| {code} |" in page for code in codes)
