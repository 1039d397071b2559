"""What a hostile program tries inside a container: run as `python -I -S -c`, it answers in one line of JSON.

It gets a list of attempts, each `[name, what, arguments …]`, and answers name -> what came of it: "done", the
name of the error, or a value.
"""

import ctypes
import errno
import json
import mmap
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def _pointer(value: object) -> object:
    if isinstance(value, str):
        return ctypes.create_string_buffer(value.encode(), 256)
    return ctypes.c_long(int(str(value)))


def system_call(number: int, *arguments: object) -> str:
    """A raw call; texts become buffers. What it opens or changes is of no further interest."""
    result = libc.syscall(ctypes.c_long(number), *map(_pointer, arguments))
    return "done" if result >= 0 else errno.errorcode[ctypes.get_errno()]


def old_call(number: int, first: int, second: int) -> str:
    """The same by the gate of 32-bit programs, which every x86-64 process may use too."""
    code = (
        b"\x53\x89\xf8\x89\xf3\x89\xd1\x31\xd2\x31\xf6\xcd\x80\x5b\xc3"
        # push rbx; mov eax,edi; mov ebx,esi; mov ecx,edx; xor edx,edx; xor esi,esi; int 0x80; pop rbx; ret
    )
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int)
    result = call(ctypes.addressof(ctypes.c_char.from_buffer(page)))(number, first, second)
    return "done" if result >= 0 else errno.errorcode[-result]


def keyring() -> int:
    """The serial number of the session keyring."""
    return int(libc.syscall(ctypes.c_long(250 if os.uname().machine == "x86_64" else 219), 0, -3, 1))


def open_to_write(path: str) -> str:
    """Opened, and nothing written."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    except OSError as e:
        return errno.errorcode[e.errno or 0]
    return "done"


def writable_below(*tops: str) -> list[str]:
    """Every file that can be opened for writing."""
    found = []
    for top in tops:
        for directory, _names, files in os.walk(top):
            found += [
                path for file in files if open_to_write(path := os.path.join(directory, file)) == "done"
            ]
    return found


def content_of(path: str) -> object:
    """ "absent", or whether there is anything to see."""
    try:
        if os.path.isdir(path):
            return "something" if os.listdir(path) else "empty"
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as e:
        return "absent" if e.errno == errno.ENOENT else errno.errorcode[e.errno or 0]
    with open(fd, "rb") as file:
        return "something" if file.read(64) else "empty"


def status(*fields: str) -> dict[str, str]:
    """Lines of /proc/self/status."""
    with open("/proc/self/status") as file:
        lines = dict(line.rstrip().split(":\t", 1) for line in file if ":\t" in line)
    return {field: lines[field] for field in fields}


KINDS = {
    "call": system_call,
    "old": old_call,
    "keyring": keyring,
    "write": open_to_write,
    "writable": writable_below,
    "content": content_of,
    "status": status,
}


def main() -> None:
    attempts = json.loads(sys.argv[1])
    answers = {name: KINDS[kind](*arguments) for name, kind, *arguments in attempts}  # type: ignore[operator]
    sys.stdout.write(json.dumps(answers) + "\n")


if __name__ == "__main__":
    main()
