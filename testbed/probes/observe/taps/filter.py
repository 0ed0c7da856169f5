"""A socket filter that lets a probe's packets through: classic BPF, run by the kernel.

For sockets whose packets begin with the network header (SOCK_DGRAM).  A load behind the end of a
packet ends the program: the packet is not taken.
"""

import ctypes
import socket
import struct
from collections.abc import Iterable, Iterator
from socket import IPPROTO_ICMP
from typing import NamedTuple

from testbed.probes.observe.sent.packets import ERRORS, FRAGMENT, ICMP_BYTES
from testbed.probes.observe.sent.patterns import Bytes, Patterns, addresses, ports

SO_ATTACH_FILTER = 26  # asm-generic/socket.h
ETHERTYPE = 0xFFFFF000  # linux/filter.h: SKF_AD_OFF + SKF_AD_PROTOCOL
ETH_P_IP = 0x0800

# linux/bpf_common.h: class, size and mode of an instruction, added up
LOAD_WORD, LOAD_HALF, LOAD_BYTE = 0x20, 0x28, 0x30  # A = packet[k]
LOAD_WORD_BEHIND, LOAD_BYTE_BEHIND = 0x40, 0x50  # A = packet[X + k]
LOAD_HEADER_LENGTH = 0xB1  # X = 4 * (packet[k] & 0xf)
AND, SHIFT_LEFT, ADD, ADD_X, TO_X = 0x54, 0x64, 0x04, 0x0C, 0x07
EQUAL, ANY_BIT = 0x15, 0x45
RETURN = 0x06

FRAGMENT_FIELD, PROTOCOL_FIELD = 6, 9  # offsets in an IP header
SOURCE_FIELD, DESTINATION_FIELD = 12, 16
WHOLE = 0xFFFF  # bytes of a packet that is taken

_INSTRUCTION = struct.Struct("=HBBI")
_PROGRAM = struct.Struct("@HP")


class Instruction(NamedTuple):
    """An instruction; jumps go to labels, an empty one is the next instruction."""

    code: int
    operand: int = 0
    yes: str = ""
    no: str = ""
    label: str = ""  # its own


def attach(tap: socket.socket, patterns: Patterns) -> None:
    """Give a socket the filter; another one that it had is replaced."""
    instructions = list(program(patterns))
    code = ctypes.create_string_buffer(assembled(instructions))
    given = _PROGRAM.pack(len(instructions), ctypes.addressof(code))
    tap.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, given)


def assembled(instructions: list[Instruction]) -> bytes:
    """The instructions as the kernel takes them; jumps count from the instruction behind."""
    places = {one.label: place for place, one in enumerate(instructions) if one.label}
    code = b""
    for place, one in enumerate(instructions):
        yes, no = (places[to] - place - 1 if to else 0 for to in (one.yes, one.no))
        code += _INSTRUCTION.pack(one.code, yes, no, one.operand)
    return code


def program(patterns: Patterns) -> Iterator[Instruction]:
    """Take what has the patterns, and ICMP errors that quote what has them."""
    yield Instruction(LOAD_WORD, ETHERTYPE)
    yield Instruction(EQUAL, ETH_P_IP, no="leave")
    yield Instruction(LOAD_HALF, FRAGMENT_FIELD)
    yield Instruction(ANY_BIT, FRAGMENT, yes="leave")
    yield Instruction(LOAD_HEADER_LENGTH, 0)
    yield from _flows(patterns)
    yield from _bytes(patterns.direct)
    yield from _errors(patterns.quoted)
    yield Instruction(RETURN, 0, label="leave")
    yield Instruction(RETURN, WHOLE, label="take")


def _bytes(alternatives: Iterable[Bytes]) -> Iterator[Instruction]:
    for one in alternatives:
        yield Instruction(LOAD_WORD_BEHIND, one.offset)
        yield Instruction(EQUAL, one.value, yes="take")


def _flows(patterns: Patterns) -> Iterator[Instruction]:
    for number, flow in enumerate(patterns.flows):
        source, destination = addresses(flow)
        other = f"not {number}"
        yield Instruction(LOAD_WORD, SOURCE_FIELD)
        yield Instruction(EQUAL, source, no=other)
        yield Instruction(LOAD_WORD, DESTINATION_FIELD)
        yield Instruction(EQUAL, destination, no=other)
        yield Instruction(LOAD_WORD_BEHIND, 0)
        yield Instruction(EQUAL, ports(flow), yes="take")
        yield Instruction(LOAD_HEADER_LENGTH, 0, label=other)  # does nothing: X is that already


def _errors(quoted: Iterable[Bytes]) -> Iterator[Instruction]:
    """X becomes the offset of the quoted transport header; its IP header may have options."""
    yield Instruction(LOAD_BYTE, PROTOCOL_FIELD)
    yield Instruction(EQUAL, IPPROTO_ICMP, no="leave")
    yield Instruction(LOAD_BYTE_BEHIND, 0)
    for kind in ERRORS[:-1]:
        yield Instruction(EQUAL, kind, yes="quoted")
    yield Instruction(EQUAL, ERRORS[-1], no="leave")
    yield Instruction(LOAD_BYTE_BEHIND, ICMP_BYTES, label="quoted")
    yield Instruction(AND, 0x0F)
    yield Instruction(SHIFT_LEFT, 2)
    yield Instruction(ADD_X)
    yield Instruction(ADD, ICMP_BYTES)
    yield Instruction(TO_X)
    yield from _bytes(quoted)
