"""Netlink sockets: many requests in one `sendmsg`, dumps, and single questions."""

import errno
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Self

from testbed.errors import KernelError
from testbed.kernel.netlink import uapi
from testbed.kernel.netlink.wire import (
    FLAGS_OFFSET,
    SEQUENCE_OFFSET,
    Message,
    Refusal,
    gather,
    message,
    messages,
    refusal,
)

# A batch beyond this is sent in several: it fits into the send buffer every socket has by default
# (net.core.wmem_default, 212992 bytes), so that no privilege is needed to make that larger.
LARGEST_SEND = 128 << 10
RECEIVE_SIZE = 64 << 10  # the kernel fills at most 32 KiB of dump into one datagram
DUMP_ATTEMPTS = 10  # a dump interrupted by a change is read again

_request = lru_cache(maxsize=64)(message)  # each namespace is asked the same
_FLAGS = struct.Struct("=H")
_SEQUENCE = struct.Struct("=I")


class NetlinkSocket:
    """A netlink socket of the namespace in which the calling thread makes it (state: the socket).

    Writing needs CAP_NET_ADMIN there.
    """

    def __init__(self, protocol: int = uapi.NETLINK_ROUTE) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, protocol)
        self._socket.setsockopt(uapi.SOL_NETLINK, uapi.NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(uapi.SOL_NETLINK, uapi.NETLINK_EXT_ACK, 1)
        self._socket.setsockopt(uapi.SOL_NETLINK, uapi.NETLINK_GET_STRICT_CHK, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()

    def send(self, requests: Sequence[bytes]) -> list[Refusal]:
        """Send all requests; what the kernel refused.  `sequence` is the request's position.

        Only the last request of a `sendmsg` asks for an answer: refusals come without being asked
        for, in the order of the requests, and later requests are served all the same.
        """
        refused: list[Refusal] = []
        for first, last in _portions(requests):
            buffer = bytearray()
            offset = 0
            for position in range(first, last):
                offset = len(buffer)
                buffer += requests[position]
                _SEQUENCE.pack_into(buffer, offset + SEQUENCE_OFFSET, position)
            flags = uapi.NLM_F_REQUEST | uapi.NLM_F_ACK | _flags(buffer, offset)
            _FLAGS.pack_into(buffer, offset + FLAGS_OFFSET, flags)
            self._socket.send(buffer)
            refused += self._refusals(last - 1)
        return refused

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """The bodies of all the kernel answers a dump request with.  Raises KernelError."""
        for _ in range(DUMP_ATTEMPTS):
            self._socket.send(_request(kind, uapi.NLM_F_DUMP, body))
            bodies, flags = self._dumped()
            if not flags & uapi.NLM_F_DUMP_INTR:
                return bodies
        raise KernelError("the namespace changes faster than it can be read")

    def ask(self, kind: int, body: bytes) -> Message | Refusal:
        """The kernel's one answer to a question, or its refusal."""
        self._socket.send(message(kind, 0, body))
        answer = next(messages(self._socket.recv(RECEIVE_SIZE)))
        return refusal(answer) if answer.kind == uapi.NLMSG_ERROR else answer

    def exchange(self, data: bytes, last: int) -> Iterator[Message]:
        """Send a datagram as it is; the answers up to the one to message number `last`.

        Raises OSError when it is longer than what this user may send at once.
        """
        with suppress(PermissionError):  # only root of the machine
            self._socket.setsockopt(socket.SOL_SOCKET, uapi.SO_SNDBUFFORCE, 2 * len(data))
        self._socket.send(data)
        while True:
            for answer in messages(self._socket.recv(RECEIVE_SIZE)):
                yield answer
                if answer.sequence == last:
                    return

    def _refusals(self, last: int) -> Iterator[Refusal]:
        """What was refused up to the answer to request `last`."""
        while True:
            try:
                data = self._socket.recv(RECEIVE_SIZE)
            except OSError as overrun:
                if overrun.errno != errno.ENOBUFS:
                    raise
                yield from self._drained()
                return
            for answer in map(refusal, messages(data)):
                if answer.errno:
                    yield answer
                if answer.sequence == last:
                    return

    def _drained(self) -> Iterator[Refusal]:
        """What is left of more refusals than the receive buffer holds; the first ones are."""
        while True:
            try:
                data = self._socket.recv(RECEIVE_SIZE, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            yield from (answer for answer in map(refusal, messages(data)) if answer.errno)

    def _dumped(self) -> tuple[list[bytes], int]:
        """The bodies of a dump's messages, and all flags one of them has."""
        bodies: list[bytes] = []
        flags = 0
        while True:
            seen, end = gather(self._socket.recv(RECEIVE_SIZE), bodies)
            flags |= seen
            if end:
                _check_end(refusal(end))
                return bodies, flags


def _check_end(end: Refusal) -> None:
    if end.errno:
        raise KernelError(f"cannot read from the kernel: {end}")


def _flags(buffer: bytearray, offset: int) -> int:
    flags: int = _FLAGS.unpack_from(buffer, offset + FLAGS_OFFSET)[0]
    return flags


def _portions(requests: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """The requests cut into parts of at most LARGEST_SEND bytes: first position, end position."""
    first = size = 0
    for position, request in enumerate(requests):
        if size and size + len(request) > LARGEST_SEND:
            yield first, position
            first, size = position, 0
        size += len(request)
    if first < len(requests):
        yield first, len(requests)
