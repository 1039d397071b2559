"""What a forked process does to become a program inside a container: planned as data, then done."""
