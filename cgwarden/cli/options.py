"""Options declared as data: one style of parsing, help and errors for every verb, without argparse's cost."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

_WIDTH = 30


class UsageError(Exception):
    """The command line cannot be meant; one line, exit code 2."""


class Option:
    """One flag: its spellings, what it takes, and how its text becomes a value.

    `value` names the argument in help ("SIZE"); without one the option is a switch. `field` is the key under
    which a verb finds it, the first long spelling by default. `many` collects repeats. Options with the same
    `group` stand together in the help.
    """

    def __init__(
        self,
        *names: str,
        help: str,
        value: str = "",
        read: Callable[[str], object] = str,
        many: bool = False,
        field: str = "",
        group: str = "Options",
    ) -> None:
        self.names = names
        self.help = help
        self.value = value
        self.read = read
        self.many = many
        self.group = group
        longest = next((name for name in names if name.startswith("--")), names[0])
        self.field = field or longest.lstrip("-").replace("-", "_")

    def parse(self, spelling: str, text: str) -> object:
        """The value of `text`, or UsageError that names the flag as it was typed."""
        try:
            return self.read(text)
        except ValueError as error:
            raise UsageError(f"{spelling}: {error}") from None


class Args:
    """What was typed: options by field, and the words that are not options."""

    def __init__(self, values: dict[str, Any], words: list[str], given: dict[str, str]) -> None:
        self.values = values
        self.words = words
        self.given = given
        """field -> the spelling that was used, for error messages."""

    def get(self, field: str, default: Any = None) -> Any:
        """The option's value, or `default` where it was not given."""
        return self.values.get(field, default)

    def on(self, field: str) -> bool:
        """Whether a switch was given."""
        return bool(self.values.get(field))


class Verb:
    """A verb of the command line: everything its help says, and the function that does it."""

    def __init__(
        self,
        usage: str,
        summary: str,
        action: Callable[[Args], int],
        *,
        options: Sequence[Option] = (),
        hidden: Sequence[Option] = (),
        words: tuple[int, int | None] = (0, 0),
        command: bool = False,
        own_command: bool = False,
        more: str = "",
    ) -> None:
        self.usage = usage
        self.summary = summary
        self.action = action
        self.options = (*options, HELP)
        self.hidden = hidden
        """Flags that are understood and not shown, such as docker's that are still to come."""
        self.least, self.most = words
        self.command = command
        """Whether the words end in a program's own arguments, which are taken as they are."""
        self.own_command = own_command
        """Whether they may be left out, since an image has a program of its own."""
        self.more = more

    def parse(self, argv: Sequence[str]) -> Args:
        """Read the command line after the verb; UsageError says what is wrong and what would work."""
        by_name = {name: option for option in (*self.options, *self.hidden) for name in option.names}
        args = Args({}, [], {})
        rest = iter(argv)
        for text in rest:
            if text == "--" or (self.command and len(args.words) >= self.least and not text.startswith("-")):
                args.words += [text] if text != "--" else []
                args.words += rest
            elif not text.startswith("-") or text == "-":
                args.words.append(text)
            else:
                for option, spelling, value in _flags(text, rest, by_name):
                    _store(args, option, spelling, value)
        return args

    def check_words(self, args: Args) -> None:
        """Refuse too few or too many words; apart from parse, so that --help works without any."""
        count = len(args.words)
        if count < self.least or (self.command and not self.own_command and count < self.least + 1):
            raise UsageError(f"something is missing: cgwarden {self.usage}")
        if not self.command and self.most is not None and count > self.most:
            raise UsageError(f"{args.words[self.most]!r} is one word too many: cgwarden {self.usage}")

    def help(self, bold: Callable[[str], str] = str) -> str:
        """The text of `VERB --help`."""
        parts = [f"{bold('Usage:')} cgwarden {self.usage}", "", self.summary]
        groups: dict[str, list[Option]] = {}
        for option in self.options:
            groups.setdefault(option.group, []).append(option)
        for title, options in groups.items():
            parts += ["", bold(f"{title}:"), *(_help_line(option) for option in options)]
        if self.more:
            parts += ["", self.more.strip("\n")]
        return "\n".join(parts)


HELP = Option("--help", help="show this page")
JSON = Option("--json", help="print one JSON document")


def closest(word: str, known: Sequence[str]) -> str | None:
    """The known word that `word` was probably meant to be; difflib is loaded only for this."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, known, 1, 0.6)), None)


def _flags(
    text: str, rest: Iterator[str], by_name: dict[str, Option]
) -> Iterator[tuple[Option, str, str | None]]:
    """The options that one word holds: `--name`, `--name=value`, `-n value`, `-nvalue`, `-if`."""
    if text.startswith("--"):
        spelling, equals, value = text.partition("=")
        option = _known(spelling, by_name)
        yield option, spelling, value if equals else _following(option, spelling, rest)
        return
    letters = text[1:]
    while letters:
        spelling, letters = "-" + letters[0], letters[1:]
        option = _known(spelling, by_name)
        if option.value and letters:
            yield option, spelling, letters.removeprefix("=")
            return
        yield option, spelling, _following(option, spelling, rest)


def _known(spelling: str, by_name: dict[str, Option]) -> Option:
    option = by_name.get(spelling)
    if option is None and spelling == "-h":
        return HELP
    if option is None:
        near = closest(spelling, list(by_name)) if len(spelling) > 2 else None
        raise UsageError(
            f"unknown option {spelling} " + (f"(did you mean {near}?)" if near else "(--help lists them)")
        )
    return option


def _following(option: Option, spelling: str, rest: Iterator[str]) -> str | None:
    if not option.value:
        return None
    value = next(rest, None)
    if value is None:
        raise UsageError(f"{spelling} needs a value: {spelling} {option.value}")
    return value


def _store(args: Args, option: Option, spelling: str, text: str | None) -> None:
    if option.value:
        value = option.parse(spelling, text or "")
    elif text in (None, "true", "false"):
        value = text != "false"
    else:
        raise UsageError(f"{spelling} is a switch and takes no value")
    args.given[option.field] = spelling
    if option.many:
        args.values.setdefault(option.field, []).append(value)
    else:
        args.values[option.field] = value


def _help_line(option: Option) -> str:
    left = ", ".join(option.names) + (f" {option.value}" if option.value else "")
    left = left if option.names[0].startswith("-") and len(option.names[0]) == 2 else "    " + left
    if len(left) > _WIDTH - 4:
        return f"  {left}\n{'':{_WIDTH}}{option.help}"
    return f"  {left:{_WIDTH - 2}}{option.help}"
