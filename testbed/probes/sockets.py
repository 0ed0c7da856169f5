"""Sockets that live in another network namespace: a socket stays in the one it was made in.

Needs CAP_SYS_ADMIN over the namespaces (setns).
"""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from testbed.kernel.namespaces.enter import entered
from testbed.kernel.namespaces.store import NamespaceStore
from testbed.net.facts import IpAddress
from testbed.net.served.endpoints import Listener

IP_PKTINFO = 8  # linux/in.h; the socket module of Python 3.13 does not name it yet
BACKLOG = 4096  # connections; the kernel's own limit: net.core.somaxconn
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: no FIN, no TIME_WAIT, gone at once


@contextmanager
def inside(store: NamespaceStore, name: str) -> Iterator[None]:
    """The calling thread is in the namespace of this name until the block ends."""
    namespace = store.open(name)
    try:
        with entered(namespace):
            yield
    finally:
        os.close(namespace)


def identity(store: NamespaceStore, name: str) -> int:
    """The number of the namespace that has this name now; another one of that name has another."""
    namespace = store.open(name)
    try:
        return os.fstat(namespace).st_ino
    finally:
        os.close(namespace)


def socket_in(
    store: NamespaceStore,
    name: str,
    family: int = socket.AF_INET,
    kind: int = socket.SOCK_STREAM,
    protocol: int = 0,
) -> socket.socket:
    """A new socket in the namespace of this name."""
    with inside(store, name):
        return socket.socket(family, kind, protocol)


def family(address: IpAddress) -> int:
    """The socket family of an address."""
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def listening_socket(listener: Listener) -> socket.socket:
    """A bound, non-blocking socket in the namespace the caller is in; a TCP one listens.

    Raises OSError (EADDRINUSE: somebody else serves the port).
    """
    kind = socket.SOCK_DGRAM if listener.protocol == "udp" else socket.SOCK_STREAM
    server = socket.socket(family(listener.address), kind)
    try:
        server.setblocking(False)
        if kind == socket.SOCK_DGRAM:
            server.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        else:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((str(listener.address), listener.port))
        if kind == socket.SOCK_STREAM:
            server.listen(BACKLOG)
    except OSError:
        server.close()
        raise
    return server
