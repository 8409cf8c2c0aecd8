"""Runs a program under limits: `python sandbox.py SYSTEM-CALLS SOCKET-FAMILIES COMMAND...`.

Takes the names of what is allowed, separated by commas. Everything else fails with EPERM, as under
systemd with `SystemCallErrorNumber=EPERM`; the kernel does the refusing.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys

_ERRNO_EPERM = 0x00050001
_ALLOW = 0x7FFF0000
_EQUAL = 4
_UNKNOWN = -1


class _Comparison(ctypes.Structure):
    _fields_ = [
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("left", ctypes.c_uint64),
        ("right", ctypes.c_uint64),
    ]


def confine(calls: list[str], families: list[str]) -> None:
    """Allow this process, and what it becomes, these system calls and kinds of sockets alone."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(_ERRNO_EPERM))
    assert context
    for call in calls:
        number = library.seccomp_syscall_resolve_name(call.encode())
        if number == _UNKNOWN:
            continue  # of a newer kernel
        if call == "socket":
            for family in families:
                equal = _Comparison(0, _EQUAL, getattr(socket, family), 0)
                _succeed(
                    library.seccomp_rule_add_array(context, _ALLOW, number, 1, ctypes.byref(equal))
                )
        else:
            _succeed(library.seccomp_rule_add_array(context, _ALLOW, number, 0, None))
    _succeed(library.seccomp_load(context))


def _succeed(status: int) -> None:
    if status:
        raise OSError(-status, os.strerror(-status))


if __name__ == "__main__":
    confine(sys.argv[1].split(","), sys.argv[2].split(","))
    os.execv(sys.argv[3], sys.argv[3:])
