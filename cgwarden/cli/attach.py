"""`attach`: come back to a container's terminal, or look at what it writes from now on."""

from __future__ import annotations

from cgwarden.cli.detaching import DETACH_KEYS, KEYS
from cgwarden.cli.names import container_path
from cgwarden.cli.options import Args, Option, Verb
from cgwarden.client import Daemon


def _attach(args: Args) -> int:
    from cgwarden.cli.attached import attach

    container_path(args.words[0])
    return attach(
        Daemon(),
        args.words[0],
        stdin=not args.on("no_stdin"),
        keys=args.get("detach_keys", KEYS),
        proxy=args.get("sig_proxy", True),
    )


VERBS = {
    "attach": Verb(
        "attach [--no-stdin] [--detach-keys KEYS] NAME",
        "Attach to a running container: its output from now on, and its input if it was started with -i.",
        _attach,
        options=(
            Option("--no-stdin", help="look only"),
            DETACH_KEYS,
            Option("--sig-proxy", help="hand signals on, without a terminal (on; --sig-proxy=false: do not)"),
        ),
        words=(1, 1),
        more="Ends with the container's exit code, and with 0 when the keys were pressed. Several may be\n"
        "attached at the same time. A terminal that is slower than the container skips output.",
    ),
}
