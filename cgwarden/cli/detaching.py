"""The keys that end a session and leave the program running: docker's notation, docker's default."""

from __future__ import annotations

from cgwarden.cli.options import Option

DEFAULT = "ctrl-p,ctrl-q"


def parse_keys(text: str) -> bytes:
    """`ctrl-p,ctrl-q` or `ctrl-x,d`: what is to be pressed, one key after the other; empty for none."""
    pressed = b""
    for key in text.split(",") if text else ():
        name = key.strip().lower()
        if len(key) == 1 and key.isascii():
            pressed += key.encode()
        elif name.startswith("ctrl-") and len(name) == 6 and (name[5].isalpha() or name[5] in "@[\\]^_"):
            pressed += bytes([ord(name[5].upper()) & 0x1F])
        else:
            raise ValueError(f"{key!r} is not a key: write a letter, or ctrl- and a letter, such as ctrl-p")
    return pressed


class Keys:
    """Finds the detach keys in what is typed; what might be their beginning is held back."""

    def __init__(self, wanted: bytes) -> None:
        self._wanted = wanted
        self._seen = 0

    def pass_on(self, data: bytes) -> tuple[bytes, bool]:
        """What goes to the program, and whether the keys were pressed."""
        if not self._wanted:
            return data, False
        passed = bytearray()
        for position in range(len(data)):
            byte = data[position : position + 1]
            if byte == self._wanted[self._seen : self._seen + 1]:
                self._seen += 1
                if self._seen == len(self._wanted):
                    return bytes(passed), True
                continue
            passed += self._wanted[: self._seen]
            self._seen = 0
            if byte == self._wanted[:1]:
                self._seen = 1
            else:
                passed += byte
        return bytes(passed), False


KEYS = parse_keys(DEFAULT)
DETACH_KEYS = Option(
    "--detach-keys",
    value="KEYS",
    read=parse_keys,
    help=f"keys that leave the program running ({DEFAULT}; empty for none)",
)
