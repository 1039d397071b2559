"""Root file systems: what a container's `/` is made of, and how its changes are kept apart.

`source` and `mounting` are the supervisor's part and stay small; the drivers, which prepare, compare,
commit and remove, are the daemon's. Imports nothing: the spawner comes through here too.
"""
