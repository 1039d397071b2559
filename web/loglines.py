"""Lines of a container's log as a client gets them: one form, whichever answer they come in."""

import base64

from launcher import LogLine
from web.wire import encode


def line_as_json(line: LogLine) -> bytes:
    """One line with its time; bytes that are no UTF-8 are replaced, and stand beside it as they were."""
    told = {"time": line.time, "stream": line.stream, "partial": line.partial}
    try:
        told["data"] = line.data.decode("utf-8")
    except UnicodeDecodeError:
        told["data"] = line.data.decode("utf-8", "replace")
        told["data_b64"] = base64.b64encode(line.data).decode("ascii")
    return encode(told) + b"\n"


def line_as_text(line: LogLine) -> bytes:
    """The bytes as they were written."""
    return line.data if line.partial or line.data.endswith(b"\n") else line.data + b"\n"
