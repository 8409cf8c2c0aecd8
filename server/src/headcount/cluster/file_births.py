"""When a file was made: takes its path, gives a number that no copy of the file has.

The number of a file in its file system is given again once the file is gone, so a copy that takes
its place may have it; the moment at which it was made no copying keeps.
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

__all__ = ["birth_of"]

# Linux's statx, by its manual page: the request for the moment of birth, and where that stands.
_AT_FDCWD, _STATX_BTIME = -100, 0x800
_STATX_BYTES, _BIRTH_AT = 256, 80


def birth_of(path: Path) -> int:
    """The moment at which a file was made, in nanoseconds since 1970; its number where the system
    does not tell that.

    Raises:
        OSError: there is no such file, or it cannot be asked.
    """
    status = path.stat()
    told = getattr(status, "st_birthtime_ns", None)  # of newer Pythons, on some systems
    if told is not None:
        return int(told)
    statx = getattr(ctypes.CDLL(None), "statx", None)
    if statx is not None:
        found = ctypes.create_string_buffer(_STATX_BYTES)
        if statx(_AT_FDCWD, os.fsencode(path), 0, _STATX_BTIME, found) == 0:
            (known,) = struct.unpack_from("=I", found)
            seconds, nanoseconds = struct.unpack_from("=qI", found, _BIRTH_AT)
            if known & _STATX_BTIME:
                return int(seconds) * 10**9 + int(nanoseconds)
    return status.st_ino
