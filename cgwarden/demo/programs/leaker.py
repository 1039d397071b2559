"""A memory leaker: keeps 3 MiB more each half second, and starts over shortly before the policy's ceiling."""

import time

MIB = 1 << 20
STEP = 3 * MIB
MOST = 150 * MIB
kept = []
while True:
    kept.append(bytearray(b"x") * STEP)
    held = len(kept) * STEP
    if len(kept) % 8 == 0:
        print(f"keeping {held // MIB} MiB", flush=True)
    if held >= MOST:
        print("starting over", flush=True)
        time.sleep(3)
        kept.clear()
    time.sleep(0.5)
