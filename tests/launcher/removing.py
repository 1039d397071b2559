"""A process of its own for test_removal: removes a directory, twice, and says what kept it from it."""

import sys

from launcher.removal import try_remove_tree

for _ in range(2):
    sys.stdout.write(f"{try_remove_tree(sys.argv[1])}\n")
