"""Programs that give up root, where there is no other user to become.

tcpdump, started by root, becomes the user tcpdump before it opens a capture, and gives up when it
cannot.  In an ordinary user's lab there is root and nobody else: the calls that change the user
answer 0 and do nothing, as Charliecloud does for its containers.  Nothing is given away: whoever
they would become, outside the lab they are the same ordinary user.
"""

import ctypes
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2  # linux/prctl.h, linux/seccomp.h
RET_ALLOW, RET_ERRNO = 0x7FFF0000, 0x00050000
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h
INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter: code, two jumps, value
CALL, ARCHITECTURE = 0, 4  # bytes: struct seccomp_data, linux/seccomp.h


@dataclass(frozen=True)
class Calls:
    """How a machine spells the calls that change user or groups.

    audit: its AUDIT_ARCH_*, linux/audit.h.  numbers: setuid setgid setreuid setregid setgroups
    setresuid setresgid, asm/unistd.h.
    """

    audit: int
    numbers: tuple[int, ...]


MACHINES: Mapping[str, Calls] = {
    "x86_64": Calls(0xC000003E, (105, 106, 113, 114, 116, 117, 119)),
    "aarch64": Calls(0xC00000B7, (146, 144, 145, 143, 159, 147, 149)),
}


class _Filter(ctypes.Structure):
    """struct sock_fprog, linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def pretend_to_change_user() -> None:
    """From now on this process and its children may change their user, without an effect.

    On a machine whose calls are not known here nothing happens; such programs then complain
    themselves.  Raises OSError.
    """
    calls = MACHINES.get(os.uname().machine)
    if calls is not None:
        answer(calls, 0)


def answer(calls: Calls, error: int) -> None:
    """From now on these calls of this process and its children end with this errno, undone.

    Needs CAP_SYS_ADMIN in its user namespace.  Raises OSError.
    """
    instructions = b"".join(_instructions(calls, RET_ERRNO | error))
    libc = ctypes.CDLL(None, use_errno=True)
    judge = _Filter(len(instructions) // INSTRUCTION.size, instructions)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(judge), 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")


def _instructions(calls: Calls, verdict: int) -> Iterator[bytes]:
    """Another architecture or another call is allowed; ours get the verdict."""
    count = len(calls.numbers)
    yield _instruction(LOAD, ARCHITECTURE)
    yield _instruction(JUMP_IF_EQUAL, calls.audit, otherwise=count + 1)
    yield _instruction(LOAD, CALL)
    for place, number in enumerate(calls.numbers):
        yield _instruction(JUMP_IF_EQUAL, number, then=count - place)
    yield _instruction(RETURN, RET_ALLOW)
    yield _instruction(RETURN, verdict)


def _instruction(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    return INSTRUCTION.pack(code, then, otherwise, value)
