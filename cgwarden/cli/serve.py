"""`serve`: the daemon. Its options are parsed by the daemon itself; this module only hands them over."""

from __future__ import annotations

from cgwarden.cli.options import Args, Option, Verb

_VALUES = ("config", "run_dir", "state_dir", "listen", "cgroup_parent", "policy_dir", "network_pool")


def _serve(args: Args) -> int:
    from cgwarden.daemon import main

    argv = []
    for field in _VALUES:
        if (value := args.get(field)) is not None:
            argv += [f"--{field.replace('_', '-')}={value}"]
    return main(argv)


VERBS = {
    "serve": Verb(
        "serve [--config FILE] [--run-dir DIR] [--state-dir DIR] [--listen ADDR:PORT] [--cgroup-parent NAME]",
        "Run the daemon: it starts containers, reads them each second, and lets policies adjust limits.",
        _serve,
        options=(
            Option("--config", value="FILE", help="configuration (/etc/cgwarden/cgwarden.toml)"),
            Option("--run-dir", value="DIR", help="socket and locks (/run/cgwarden)"),
            Option("--state-dir", value="DIR", help="containers, journal, history (/var/lib/cgwarden)"),
            Option("--listen", value="ADDR:PORT", help='TCP beside the socket (127.0.0.1:9380); "" for none'),
            Option("--cgroup-parent", value="NAME", help="the cgroup that holds the containers (cgwarden)"),
            Option(
                "--network-pool",
                value="CIDR",
                help="addresses of bridged containers (a free /20 of 10.88/13)",
            ),
            Option("--policy-dir", value="DIR", help="policy files (/etc/cgwarden/policies.d)"),
        ),
        more="Exit codes: 4 directories in use by another daemon, 5 not root, 78 unfit host or settings.",
    ),
}
