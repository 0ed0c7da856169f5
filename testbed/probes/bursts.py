"""Many datagrams in one system call: sendmmsg(2) and recvmmsg(2), which Python does not have.

Between namespaces of one kernel a packet goes all its way, and its answer back, inside the call
that sends it.  A call and some objects of Python's for each of them would cost half as much again.
"""

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence

SOCKADDR_IN = struct.Struct("=H2x4s8x")  # netinet/in.h: family, port, address
ADDRESS = slice(4, 8)  # of a name

_libc = ctypes.CDLL(None, use_errno=True)


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Msghdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("iovec", ctypes.c_void_p),
        ("iovec_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Mmsghdr(ctypes.Structure):
    _fields_ = (("header", _Msghdr), ("length", ctypes.c_uint))


def name(address: str) -> bytes:
    """An IPv4 address as the name of a destination, which is how sendmsg(2) calls it."""
    return SOCKADDR_IN.pack(socket.AF_INET, socket.inet_aton(address))


class _Room:
    """So many datagrams of so many bytes each, side by side (state: the memory)."""

    def __init__(self, most: int, size: int) -> None:
        self.size = size
        self.bytes = ctypes.create_string_buffer(most * size)
        self.headers = (_Mmsghdr * most)()
        self._places = (_Iovec * most)()
        for i, (place, one) in enumerate(zip(self._places, self.headers, strict=True)):
            place.base, place.length = ctypes.addressof(self.bytes) + i * size, size
            one.header.iovec, one.header.iovec_length = ctypes.addressof(place), 1


class Outbox(_Room):
    """Room for datagrams that are sent together."""

    def __init__(self, most: int, size: int) -> None:
        super().__init__(most, size)
        self._names = ctypes.create_string_buffer(most * SOCKADDR_IN.size)
        for i, one in enumerate(self.headers):
            one.header.name = ctypes.addressof(self._names) + i * SOCKADDR_IN.size
            one.header.name_length = SOCKADDR_IN.size

    def send(
        self, descriptor: int, names: Sequence[bytes], packets: Sequence[bytes]
    ) -> Iterator[tuple[int, int]]:
        """Send each packet to its destination; the places of those refused, with errno."""
        ctypes.memmove(self._names, b"".join(names), len(names) * SOCKADDR_IN.size)
        ctypes.memmove(self.bytes, b"".join(packets), len(packets) * self.size)
        done = 0
        while done < len(packets):
            first = ctypes.byref(self.headers, done * ctypes.sizeof(_Mmsghdr))
            count = _libc.sendmmsg(descriptor, first, len(packets) - done, 0)
            if count < 0:  # it is the first one's, else that would have been counted
                yield done, ctypes.get_errno()
            done += max(count, 1)


class Inbox(_Room):
    """Room for datagrams that are taken together."""

    def receive(self, descriptor: int) -> memoryview:
        """Those that have come, but no more than there is room for; it holds until the next call.

        Each takes `size` bytes: of a longer one the rest is lost, a shorter one ends with zeros.
        Raises OSError.
        """
        ctypes.memset(self.bytes, 0, len(self.bytes))
        most = len(self.headers)
        count = _libc.recvmmsg(descriptor, self.headers, most, socket.MSG_DONTWAIT, None)
        if count < 0 and (number := ctypes.get_errno()) != errno.EAGAIN:
            raise OSError(number, os.strerror(number))
        return memoryview(self.bytes).cast("B")[: max(count, 0) * self.size]
