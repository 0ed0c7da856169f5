"""Calls from one process to another over a Unix socket, with open descriptors.

    length u64 | pickled value … , and the descriptors come with the length

Both ends are the testbed's own, started by one another: what is unpickled was pickled here.
"""

import pickle
import socket
import struct
from collections.abc import Sequence
from typing import Any

MOST_DESCRIPTORS = 200  # in one call; the kernel passes at most 253 (SCM_MAX_FD)
_LENGTH = struct.Struct("=Q")


def say(to: socket.socket, value: object, descriptors: Sequence[int] = ()) -> None:
    """Send a value and copies of descriptors.  Raises OSError (the other end is gone)."""
    pickled = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    socket.send_fds(to, [_LENGTH.pack(len(pickled))], descriptors, socket.MSG_NOSIGNAL)
    to.sendall(pickled, socket.MSG_NOSIGNAL)


def heard(source: socket.socket) -> tuple[Any, list[int], bool]:
    """The next value, its descriptors, and whether all of them have come: unix(7).

    Raises EOFError at the end of the conversation.
    """
    head, descriptors, flags, _ = socket.recv_fds(source, _LENGTH.size, MOST_DESCRIPTORS)
    if len(head) < _LENGTH.size:
        raise EOFError
    pickled = bytearray()
    (length,) = _LENGTH.unpack(head)
    while len(pickled) < length:
        piece = source.recv(length - len(pickled))
        if not piece:
            raise EOFError
        pickled += piece
    return pickle.loads(pickled), descriptors, not flags & socket.MSG_CTRUNC
