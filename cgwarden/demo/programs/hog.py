"""A CPU hog: one busy process for each CPU of the host, two at least."""

import os

children = max(2, os.cpu_count() or 1) - 1
print(f"burning {children + 1} CPUs", flush=True)
for _ in range(children):
    if os.fork() == 0:
        break
number = 1
while True:
    number = number * 1103515245 % 2147483647 + 12345
