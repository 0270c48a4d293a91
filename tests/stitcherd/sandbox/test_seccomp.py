"""Tests the filter of system calls: by interpreting it for both machines, and by the kernel of this one."""

import errno
import os
import signal
import socket
import struct

import pytest

from stitcherd.sandbox import bubblewrap, seccomp
from tests.stitcherd.sandbox.sandbox_host import CLOSED_SANDBOX, SANDBOX_MISSING, SandboxHost

ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "i386": 0x40000003, "arm": 0x40000028}
ALLOW, KILL = 0x7FFF0000, 0x80000000
MACHINES = ("x86_64", "aarch64")
NUMBERS = {
    "read": (0, 63),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "ptrace": (101, 117),
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
    "clone3": (435, 435),
}
in_sandbox = pytest.mark.skipif(SANDBOX_MISSING is not None, reason=f"NOT TESTED HERE: {SANDBOX_MISSING}")


def verdict(machine: str, number: int, argument: int = 0, arch: str = "") -> int:
    """Run the filter as the kernel does, and return its verdict."""
    data = struct.pack("=IIQ6Q", number, ARCHES[arch or machine], 0, argument, 0, 0, 0, 0, 0)
    program = list(struct.iter_unpack("=HBBI", seccomp.make_filter(machine)))
    loaded = at = 0
    while True:
        code, if_true, if_false, operand = program[at]
        at += 1
        match code:
            case 0x20:
                (loaded,) = struct.unpack_from("=I", data, operand)
            case 0x15:
                at += if_true if loaded == operand else if_false
            case 0x35:
                at += if_true if loaded >= operand else if_false
            case 0x06:
                return int(operand)
            case _:
                raise AssertionError(code)


@pytest.mark.parametrize("machine", MACHINES)
def test_every_denied_call_is_denied_by_its_number(machine: str) -> None:
    column = MACHINES.index(machine)
    for call, error in seccomp.DENIED_CALLS.items():
        assert verdict(machine, NUMBERS[call][column]) == 0x00050000 | error, call
    for call in ("read", "ptrace", "clone3"):
        assert verdict(machine, NUMBERS[call][column]) == ALLOW, call


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("call", ["socket", "socketpair"])
def test_only_four_families_of_sockets_are_allowed(machine: str, call: str) -> None:
    number = NUMBERS[call][MACHINES.index(machine)]
    allowed = {family for family in range(64) if verdict(machine, number, family) == ALLOW}
    assert allowed == {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK}
    assert verdict(machine, number, socket.AF_VSOCK) == 0x00050000 | errno.EAFNOSUPPORT
    assert verdict(machine, number, 1 << 32 | socket.AF_VSOCK) == 0x00050000 | errno.EAFNOSUPPORT


def test_other_interfaces_of_the_kernel_are_closed() -> None:
    assert verdict("x86_64", 3, arch="i386") == KILL
    assert verdict("aarch64", 3, arch="arm") == KILL
    assert verdict("x86_64", 0x40000000 | 41) == 0x00050000 | errno.EPERM


def test_an_unknown_machine_has_no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "there is no filter of system calls for riscv64, only for x86_64 and aarch64"
    assert seccomp.unavailable_reason("riscv64") == reason
    assert seccomp.unavailable_reason("aarch64") is None
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "", "", "", "riscv64")))
    assert bubblewrap.unavailable_reason.__wrapped__() == f"sandbox bwrap cannot be used: {reason}"


CALL = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(*words):
    ctypes.set_errno(0)
    libc.syscall(*words)
    return ctypes.get_errno()
"""


@in_sandbox
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are those of x86_64")
async def test_the_kernel_denies_what_the_filter_denies(host: SandboxHost) -> None:
    wanted = {NUMBERS[call][0]: error for call, error in seccomp.DENIED_CALLS.items()}
    code = f"{CALL}print([call(number, 0, 0, 0, 0, 0) for number in {list(wanted)}], call(0x40000000 | 39))"
    assert (await host.run(code, CLOSED_SANDBOX))[1] == f"{list(wanted.values())} {errno.EPERM}\n"


@in_sandbox
async def test_sockets_of_other_families_cannot_be_opened(host: SandboxHost) -> None:
    families = {"vsock": 40, "alg": 38, "packet": 17, "bluetooth": 31, "can": 29, "tipc": 30, "xdp": 44, "smc": 43}
    code = f"""
    for family in {list(families.values())}:
        for create in (socket.socket, socket.socketpair):
            try:
                create(family)
            except OSError as error:
                print(error.errno)
    """
    wanted = f"{errno.EAFNOSUPPORT}\n" * 2 * len(families)
    assert await host.run(code, CLOSED_SANDBOX) == ("ended with exit code 0", wanted)


@in_sandbox
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the code is that of x86_64")
async def test_a_program_that_uses_the_interface_for_32_bits_is_killed(host: SandboxHost) -> None:
    code = """
    import ctypes, mmap
    memory = mmap.mmap(-1, 4096, prot=7)
    memory.write(bytes.fromhex('b814000000cd80c3'))  # mov eax, getpid; int 0x80; ret
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))()
    print('done')
    """
    assert await host.run(code) == ("ended with exit code 0", "done\n")
    assert await host.run(code, CLOSED_SANDBOX) == (f"ended with exit code {128 + signal.SIGSYS}", "")


@in_sandbox
async def test_ordinary_sockets_work(host: SandboxHost) -> None:
    code = """
    one, other = socket.socketpair()
    server = socket.create_server(('127.0.0.1', 0))
    client = socket.create_connection(server.getsockname())
    print(socket.getaddrinfo('localhost', 80) != [], socket.if_nameindex())
    """
    assert await host.run(code, CLOSED_SANDBOX) == ("ended with exit code 0", "True [(1, 'lo')]\n")


@in_sandbox
async def test_the_command_cannot_change_its_filter(host: SandboxHost) -> None:
    code = "print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])"
    assert await host.run(code, CLOSED_SANDBOX) == ("ended with exit code 0", "[0, 1, 2]\n")
