"""Exit codes of every way a command can fail: the one table that scripts rely on."""

from __future__ import annotations

from cgwarden.cli.options import UsageError
from cgwarden.client import BadAddress, NoDaemon, Problem

DONE, FAILED, USAGE, UNKNOWN, CONFLICT, DENIED, NO_DAEMON = 0, 1, 2, 3, 4, 5, 6
TIMED_OUT, REFUSED_RUN, CANNOT_INVOKE, NOT_FOUND = 124, 125, 126, 127

BY_SLUG = {
    "bad-request": USAGE,
    "unknown-container": UNKNOWN,
    "unknown-group": UNKNOWN,
    "unknown-volume": UNKNOWN,
    "unknown-image": UNKNOWN,
    "bad-image": FAILED,
    "missing-file": FAILED,
    "name-taken": CONFLICT,
    "not-running": CONFLICT,
    "frozen": CONFLICT,
    "owner-conflict": CONFLICT,
    "below-usage": CONFLICT,
    "conflict": CONFLICT,
    "forbidden": DENIED,
    "unauthorized": DENIED,
    "gone": UNKNOWN,
    "timeout": TIMED_OUT,
    "cannot-invoke": CANNOT_INVOKE,
    "command-not-found": NOT_FOUND,
}
BY_STATUS = {400: USAGE, 401: DENIED, 403: DENIED, 409: CONFLICT, 422: USAGE, 504: TIMED_OUT}


def exit_code(error: BaseException) -> int:
    """The exit code for an error that ends a command."""
    if isinstance(error, Problem):
        if error.exit_code is not None:
            return error.exit_code
        return BY_SLUG.get(error.slug, BY_STATUS.get(error.status, FAILED))
    if isinstance(error, UsageError | BadAddress):
        return USAGE
    if isinstance(error, NoDaemon):
        return NO_DAEMON
    if isinstance(error, PermissionError):
        return DENIED
    return TIMED_OUT if isinstance(error, TimeoutError) else FAILED


def one_line(error: BaseException, host: str) -> str:
    """What went wrong and what to do, in one line without control characters."""
    if isinstance(error, Problem):
        text = in_flags(error.detail, error.hint if error.hint not in error.detail else "")
    elif isinstance(error, NoDaemon):
        text = f"{error} (start one with `cgwarden serve`, or point CGWARDEN_HOST at it)"
    elif isinstance(error, PermissionError) and not error.filename:
        text = f"no permission to use the daemon at {host} (be root, or join the socket's group)"
    elif isinstance(error, TimeoutError):
        text = (
            f"the daemon at {host} did not answer in time (is the host overloaded? `cgwarden doctor` tells)"
        )
    else:
        text = str(error)
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in " ".join(text.split()))


def in_flags(detail: str, hint: str) -> str:
    """What the daemon says of a request, in the words of the command line: fields are flags here."""
    from cgwarden.cli.limit_flags import flag_of  # not before something went wrong

    place, colon, rest = detail.partition(": ")
    flag = flag_of(place.removeprefix("?").removeprefix("limits."))
    told = f"{flag}: {rest}" if colon and flag else detail
    whole = f"{told} ({hint})" if hint else told
    return (
        whole.replace("use force", "use --force")
        .replace("with force", "with --force")
        .replace("use insecure", "use --insecure")
    )
