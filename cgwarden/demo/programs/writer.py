"""A disk writer: 1 MiB four times a second, past the page cache, round and round in a file of 32 MiB."""

import mmap
import os
import time

MIB = 1 << 20
BLOCKS = 32
block = mmap.mmap(-1, MIB)
block.write(os.urandom(MIB))
path = "/var/tmp/cgwarden-demo.bin"  # in the container's own layer
try:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DIRECT, 0o600)
except OSError:  # a file system without O_DIRECT: fsync below has the same effect
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
written = 0
while True:
    os.pwrite(file, block, written % BLOCKS * MIB)
    os.fsync(file)
    written += 1
    if written % 40 == 0:
        print(f"{written} MiB written", flush=True)
    time.sleep(0.25)
