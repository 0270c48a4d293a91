"""The filter of system calls in a sandbox: a program for the kernel (seccomp(2)) that bubblewrap loads.

It denies what namespaces do not separate: the kernel's keyrings and its log, sockets that leave the network namespace,
and interfaces that programs rarely need and that most holes of the kernel were found in.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

ALLOWED_FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)  # netlink: getaddrinfo(3)
DENIED_CALLS = {
    **dict.fromkeys(("add_key", "request_key", "keyctl", "bpf", "perf_event_open", "syslog"), errno.EPERM),
    # Programs that can do without these try the older interface only if the kernel seems not to have them.
    **dict.fromkeys(("io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd"), errno.ENOSYS),
}
_SOCKET_CALLS = ("socket", "socketpair")


class _Machine(Struct, frozen=True):
    """A kind of machine: its AUDIT_ARCH (linux/audit.h), and its column of `_NUMBERS`.

    Numbers from `foreign_numbers` on belong to another interface of the kernel: x32.
    """

    arch: int
    column: int
    foreign_numbers: int | None = None


_MACHINES = {"x86_64": _Machine(0xC000003E, 0, foreign_numbers=0x40000000), "aarch64": _Machine(0xC00000B7, 1)}
# Of x86_64 and aarch64: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of Linux.
_NUMBERS = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "syslog": (103, 116),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "perf_event_open": (298, 241),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
}

# linux/bpf_common.h and linux/seccomp.h. The program reads a seccomp_data: number, arch, and, at 16, the arguments.
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # the lower half of the argument, on these machines
_ALLOW, _ERROR, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000


def unavailable_reason(machine: str | None = None) -> str | None:
    """Return why there is no filter for a machine, as uname(2) names it, or None; by default for this one."""
    machine = machine or os.uname().machine
    if machine in _MACHINES:
        return None
    return f"there is no filter of system calls for {machine}, only for {' and '.join(_MACHINES)}"


@contextmanager
def open_filter() -> Iterator[int]:
    """Open a file with the filter for this machine, for one program to read; it is closed at the end."""
    handle = os.memfd_create("seccomp")
    try:
        os.write(handle, make_filter(os.uname().machine))
        os.lseek(handle, 0, os.SEEK_SET)
        yield handle
    finally:
        os.close(handle)


def make_filter(machine: str) -> bytes:
    """Return the filter for a machine: an array of sock_filter, in its byte order. Raises KeyError."""
    known = _MACHINES[machine]
    numbers = {call: each[known.column] for call, each in _NUMBERS.items()}
    denied = _return_error(errno.EPERM)
    program = [
        _instruction(_LOAD, _ARCH),
        _instruction(_JUMP_IF_EQUAL, known.arch, if_true=1),
        _instruction(_RETURN, _KILL_PROCESS),
        _instruction(_LOAD, _NUMBER),
    ]
    if known.foreign_numbers is not None:
        program += _if(_JUMP_IF_AT_LEAST, known.foreign_numbers, [denied])
    for call, error in DENIED_CALLS.items():
        program += _if(_JUMP_IF_EQUAL, numbers[call], [_return_error(error)])
    for call in _SOCKET_CALLS:
        families: list[bytes] = []
        for family in ALLOWED_FAMILIES:
            families += _if(_JUMP_IF_EQUAL, family, [_instruction(_RETURN, _ALLOW)])
        check = [_instruction(_LOAD, _FIRST_ARGUMENT), *families, _return_error(errno.EAFNOSUPPORT)]
        program += _if(_JUMP_IF_EQUAL, numbers[call], check)
    return b"".join([*program, _instruction(_RETURN, _ALLOW)])


def _instruction(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """Pack one instruction; a jump skips as many of the next ones."""
    return struct.pack("=HBBI", code, if_true, if_false, operand)


def _return_error(number: int) -> bytes:
    return _instruction(_RETURN, _ERROR | number)


def _if(jump: int, operand: int, then: list[bytes]) -> list[bytes]:
    """Return a condition on what was loaded last, and the instructions that run only if it holds."""
    return [_instruction(jump, operand, if_false=len(then)), *then]
