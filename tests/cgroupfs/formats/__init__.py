"""What kernels from 3.10 to 6.18 print, file by file: the version, what differs there, what we make of it.

Distributions take features back into older kernels, so that a version is where a form was seen or began.
"""

from __future__ import annotations

from typing import Final

from tests.cgroupfs.formats.disks import DISKS
from tests.cgroupfs.formats.form import Format
from tests.cgroupfs.formats.memory import MEMORY
from tests.cgroupfs.formats.others import OTHERS
from tests.cgroupfs.formats.processor import CPU

FORMATS: Final[tuple[Format, ...]] = (*CPU, *MEMORY, *DISKS, *OTHERS)
