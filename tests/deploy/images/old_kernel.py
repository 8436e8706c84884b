"""Starts a command as if on Linux 4.14, the kernel of Amazon Linux 2: ``python old_kernel.py COMMAND...``.

A filter of the kernel answers ENOSYS to each system call that is newer, and to every later one of the command.
"""

import ctypes
import errno
import os
import platform
import struct
import sys

#: The last system call that Linux 4.14 has: statx.
LAST = {"x86_64": 332, "aarch64": 291}
# linux/prctl.h, linux/seccomp.h and linux/bpf_common.h
NO_NEW_PRIVS, SET_SECCOMP, MODE_FILTER = 38, 22, 2
LOAD, IF_GREATER, RETURN = 0x20, 0x25, 0x06
ALLOW, ANSWER = 0x7FFF0000, 0x00050000


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def hide_newer_calls() -> None:
    """Let this process, and all that it starts, have the system calls of Linux 4.14."""
    rules = [
        (LOAD, 0, 0, 0),  # the number of the call
        (IF_GREATER, 0, 1, LAST[platform.machine()]),
        (RETURN, 0, 0, ANSWER | errno.ENOSYS),
        (RETURN, 0, 0, ALLOW),
    ]
    program = Program(len(rules), b"".join(struct.pack("HBBI", *rule) for rule in rules))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for arguments in ((NO_NEW_PRIVS, 1, 0, 0, 0), (SET_SECCOMP, MODE_FILTER, ctypes.byref(program))):
        if prctl(*arguments):
            raise OSError(ctypes.get_errno(), f"prctl {arguments[0]}")


if __name__ == "__main__":
    hide_newer_calls()
    os.execvp(sys.argv[1], sys.argv[1:])
