"""The pods' servers: TCP, UDP and HTTP on sockets made inside the pods' namespaces, no processes.

All sockets hang on one epoll descriptor, which an asyncio loop watches as a single reader: a
thousand listeners cost the loop nothing, and one turn serves many connections.
"""

import asyncio
import errno
import functools
import itertools
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from operator import attrgetter

from testbed.errors import KernelError
from testbed.kernel.namespaces import NamespaceStore
from testbed.net.endpoints import Listener
from testbed.probes import imds
from testbed.probes.connection import OVER, Connection
from testbed.probes.echo import About, Conversation, LineEcho, datagram_answer, http_echo
from testbed.probes.sockets import IP_PKTINFO, identity, inside, listening_socket

IDLE_S = 300.0  # a silent connection is closed then; a person at `nc` is slower than a program
MOST_CONNECTIONS = 4096  # when there is one more, the longest silent one goes
SWEEP_S = 1.0  # between two looks for silent connections
EVENTS_A_TURN = 256  # then the loop's other work has its turn
TAKEN_AT_ONCE = 64  # connections or datagrams from one socket
LONGEST_DATAGRAM = 65535
PKTINFO = struct.Struct("=I4s4s")  # in_pktinfo: interface, our own address, destination address
NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


Address = tuple[str, int]


class Servers:
    """Listening sockets and connections; they are the only state of the pods' servers.

    The loop answers; `open`, `close` and `serve` may be called in another thread than its own.
    """

    def __init__(
        self, store: NamespaceStore, loop: asyncio.AbstractEventLoop, *, idle_s: float = IDLE_S
    ) -> None:
        self._store = store
        self._loop = loop
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._epoll = select.epoll()
        self._sockets: dict[Listener, socket.socket] = {}
        self._identities: dict[str, int] = {}  # of the namespaces the sockets were made in
        self._connections: dict[int, Connection] = {}  # the longest silent first
        self._handlers: dict[int, Callable[[], None]] = {}
        self._tokens = imds.Tokens()
        self._full: set[int] = set()  # listening sockets that wait for free descriptors
        loop.add_reader(self._epoll.fileno(), self._turn)
        self._timer = loop.call_later(SWEEP_S, self._sweep)

    @property
    def listening(self) -> frozenset[Listener]:
        """What is served now."""
        return frozenset(self._sockets)

    def open(self, listeners: Iterable[Listener]) -> None:
        """Serve these too.

        Raises KernelError that names every listener whose port could not be had (somebody else
        serves it); the others are served.  OSError: no descriptors are left.
        """
        new = sorted(set(listeners) - self.listening, key=attrgetter("netns"))
        failures: list[str] = []
        for netns, group in itertools.groupby(new, key=attrgetter("netns")):
            self._identities[netns] = identity(self._store, netns)
            with inside(self._store, netns):
                failures += self._open(group)
        if failures:
            raise KernelError("; ".join(failures))

    def close(self, netns: Iterable[str]) -> None:
        """Serve nothing in these namespaces and keep no socket there: it would keep them alive."""
        names = frozenset(netns)
        self._close(listener for listener in self.listening if listener.netns in names)
        for name in names:
            self._identities.pop(name, None)
        with self._lock:
            for connection in tuple(self._connections.values()):
                if connection.netns in names:
                    self._end(connection, reset=True)

    def serve(self, listeners: Iterable[Listener]) -> None:
        """Serve these and no others, in the namespaces that have their names now.

        Raises KernelError as `open` does.
        """
        wanted = frozenset(listeners)
        unwanted = self.listening - wanted
        names = {listener.netns for listener in wanted}
        gone = {listener.netns for listener in unwanted} - names
        self.close(gone | {name for name in names if self._replaced(name)})
        self._close(unwanted & self.listening)
        self.open(wanted)

    def stop(self) -> None:
        """Close everything; in the loop's thread."""
        self._timer.cancel()
        self._loop.remove_reader(self._epoll.fileno())
        self._close(self.listening)
        self.close({connection.netns for connection in self._connections.values()})
        self._epoll.close()

    def _replaced(self, netns: str) -> bool:
        """Whether the sockets are in a namespace that lost its name to another one."""
        known = self._identities.get(netns)
        return known is not None and known != identity(self._store, netns)

    def _turn(self) -> None:
        """Serve whatever is ready."""
        with self._lock:
            for descriptor, _ in self._epoll.poll(0, EVENTS_A_TURN):
                if handler := self._handlers.get(descriptor):
                    handler()

    def _sweep(self) -> None:
        """Close the connections that were silent too long, now and then."""
        self._timer = self._loop.call_later(SWEEP_S, self._sweep)
        oldest_s = time.monotonic() - self._idle_s
        with self._lock:
            for connection in tuple(self._connections.values()):
                if connection.active_s > oldest_s:
                    break
                self._end(connection)
            while self._full:
                self._epoll.modify(self._full.pop(), select.EPOLLIN)

    def _open(self, listeners: Iterable[Listener]) -> Iterator[str]:
        """Serve these in the namespace the thread is in; what could not be, in words."""
        for listener in listeners:
            try:
                server = listening_socket(listener)
            except OSError as error:
                if error.errno in NO_DESCRIPTORS:  # nor would there be one for any other
                    raise
                yield f"cannot serve {listener}: {error.strerror}"
                continue
            take = self._datagrams if listener.protocol == "udp" else self._accept
            with self._lock:
                self._sockets[listener] = server
                self._handlers[server.fileno()] = functools.partial(take, listener, server)
                self._epoll.register(server.fileno(), select.EPOLLIN)

    def _close(self, listeners: Iterable[Listener]) -> None:
        with self._lock:
            for listener in listeners:
                server = self._sockets.pop(listener)
                self._full.discard(server.fileno())
                del self._handlers[server.fileno()]
                server.close()

    def _accept(self, listener: Listener, server: socket.socket) -> None:
        """Begin the conversations of the clients that have come."""
        try:
            for _ in range(TAKEN_AT_ONCE):
                accepted, client = server.accept()
                self._begin(listener, accepted, client)
        except BlockingIOError:
            return
        except OSError as error:
            # accept(2): an error of the new connection is passed on here; it concerns nobody else
            if error.errno in NO_DESCRIPTORS:  # its client would be reported again and again
                self._epoll.modify(server.fileno(), 0)
                self._full.add(server.fileno())

    def _begin(self, listener: Listener, accepted: socket.socket, client: Address) -> None:
        about = _about(listener, accepted.getsockname(), client)
        connection = Connection(listener.netns, accepted, self._conversation(listener, about))
        events = connection.advance()
        if events == OVER:
            return connection.close()
        if len(self._connections) >= MOST_CONNECTIONS:
            self._end(next(iter(self._connections.values())))
        self._connections[accepted.fileno()] = connection
        self._handlers[accepted.fileno()] = functools.partial(self._advance, connection)
        self._epoll.register(accepted.fileno(), events)
        connection.events = events
        return None

    def _conversation(self, listener: Listener, about: About) -> Conversation:
        if listener.protocol == "imds":
            client, _, _ = about["client"].rpartition(":")
            return imds.conversation(listener.metadata, client, self._tokens)
        if listener.protocol == "tcp":
            return LineEcho(about)
        return http_echo(about, listener.page)

    def _advance(self, connection: Connection) -> None:
        events = connection.advance()
        if events == OVER:
            return self._end(connection)
        descriptor = connection.socket.fileno()
        self._connections[descriptor] = self._connections.pop(descriptor)
        if events != connection.events:
            self._epoll.modify(descriptor, events)
            connection.events = events
        return None

    def _end(self, connection: Connection, *, reset: bool = False) -> None:
        descriptor = connection.socket.fileno()
        del self._handlers[descriptor], self._connections[descriptor]
        connection.close(reset=reset)

    def _datagrams(self, listener: Listener, server: socket.socket) -> None:
        """Answer the datagrams that have come, each from the address it was sent to."""
        with suppress(OSError):  # nothing left to take, or no way back to the sender: UDP may lose
            for _ in range(TAKEN_AT_ONCE):
                data, ancillary, _, client = server.recvmsg(
                    LONGEST_DATAGRAM, socket.CMSG_SPACE(PKTINFO.size)
                )
                if client[1] == listener.port:
                    continue  # two echo servers, made to talk by a forged datagram, never stop
                _, ours, destination = PKTINFO.unpack(ancillary[0][2])
                local = (socket.inet_ntoa(destination), listener.port)
                answer = datagram_answer(_about(listener, local, client), data)
                source = (socket.IPPROTO_IP, IP_PKTINFO, PKTINFO.pack(0, ours, bytes(4)))
                server.sendmsg([answer], [source], 0, client)


def _about(listener: Listener, local: Address, client: Address) -> About:
    """What every answer begins with."""
    return {
        "pod": listener.pod,
        "node": listener.node,
        "container": listener.container,
        "local": f"{local[0]}:{local[1]}",
        "client": f"{client[0]}:{client[1]}",
    }
