"""The exit statuses of the daemon, in one place; the table for people is docs/command-line.md."""

from typing import Final

EXIT_FAILED: Final = 1
EXIT_CONFLICT: Final = 4
EXIT_DENIED: Final = 5
EXIT_CONFIG: Final = 78  # EX_CONFIG: a service manager must not restart us for it
