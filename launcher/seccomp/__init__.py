"""System call filters: docker's profiles, compiled with libseccomp and cached.

Imported by the daemon alone: the spawner and what it forks are handed finished programs.
"""

from launcher.seccomp.filters import Filters
from launcher.seccomp.profile import Profile, parse_profile, read_default

__all__ = ["Filters", "Profile", "parse_profile", "read_default"]
