"""One process' share of the pods' servers: TCP, UDP and HTTP on sockets it was given.

All sockets hang on one epoll descriptor: a thousand idle listeners cost nothing, and one turn
serves many connections.
"""

import errno
import os
import select
import socket
import struct
import time
from _socket import socket as CSocket  # noqa: N812 - the C class: no Python around each call
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from itertools import compress
from typing import Any

from testbed.kernel.machine import handover
from testbed.net.served.endpoints import Listener
from testbed.probes.servers import imds
from testbed.probes.servers.connection import OVER, Connection
from testbed.probes.servers.echo import (
    About,
    Conversation,
    LineEcho,
    datagram_answer,
    http_echo,
)
from testbed.probes.servers.listed import Listed
from testbed.probes.servers.site import http_site
from testbed.probes.sockets import IP_PKTINFO, family

SWEEP_S = 1.0  # between two looks for silent connections
# A client that has left when it is accepted comes in a sweep.  To be woken for each one of those
# would cost as much as its connection: the ones of so long a time are taken together.
MUSTER_S = 0.01
EVENTS_A_TURN = 256
TAKEN_AT_ONCE = 64  # connections or datagrams from one socket
LONGEST_DATAGRAM = 65535
PKTINFO = struct.Struct("=I4s4s")  # in_pktinfo: interface, our own address, destination address
NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


Address = tuple[str, int]


class Server:
    """Listening sockets and connections; they are all the state.

    idle_s: a silent connection is closed then.
    most_connections: when there is one more, the longest silent one goes.
    """

    def __init__(self, *, idle_s: float, most_connections: int) -> None:
        self._idle_s = idle_s
        self._most_connections = most_connections
        self._epoll = select.epoll()
        self._listeners = Listed()
        self._connections: dict[int, Connection] = {}  # the longest silent first
        self._handlers: dict[int, Callable[[], None]] = {}
        self._tokens = imds.Tokens()
        self._full: set[int] = set()  # listening sockets that wait for free descriptors
        self._next_sweep_s = 0.0
        self._sweeping = False  # whether a client had left when it was accepted in the last turn

    def run(self, control: socket.socket) -> None:
        """Serve, and do what is asked by `control`, until its other end is closed."""
        self._hear(control, partial(self._obey, control))
        with suppress(EOFError):
            while True:
                self._turn()

    def _hear(self, control: socket.socket, handler: Callable[[], None]) -> None:
        self._epoll.register(control.fileno(), select.EPOLLIN)
        self._handlers[control.fileno()] = handler

    def _obey(self, control: socket.socket) -> None:
        """Do what one call says and answer with the errno of its failure, or 0, and what it asks.

        Only `hear`, somebody else's connection, is not answered: who sends it need not wait.
        Raises EOFError: nobody will call any more.
        """
        (verb, what), descriptors, whole = handover.heard(control)
        if verb == "hear":
            return self._hear_another(descriptors)
        if not whole:
            for descriptor in descriptors:
                os.close(descriptor)
            return handover.say(control, (errno.EMFILE, None))
        return handover.say(control, (0, self._do(verb, what, descriptors)))

    def _do(self, verb: str, what: Any, descriptors: Sequence[int]) -> object:
        match verb:
            case "open":
                self._open(what, descriptors)
            case "close":
                self._close(what)
            case "reset":
                self._reset(what)
            case "tell":
                return self._listeners.places()
        return None

    def _hear_another(self, descriptors: Sequence[int]) -> None:
        """Somebody else's connection; without a descriptor for it, that one sees its end."""
        for descriptor in descriptors:
            another = socket.socket(fileno=descriptor)
            self._hear(another, partial(self._obey_another, another))

    def _obey_another(self, control: socket.socket) -> None:
        """The same, of somebody whose end is not ours, whatever it was about to say."""
        try:
            self._obey(control)
        except (EOFError, OSError):
            del self._handlers[control.fileno()]
            control.close()

    def _open(self, what: tuple[bytes, Sequence[bool]], descriptors: Sequence[int]) -> None:
        """Serve what is packed in a block, on sockets in the same order; some are answered."""
        block, answered = what
        self._listeners.add(block, descriptors)
        for descriptor in compress(descriptors, answered):
            self._epoll.register(descriptor, select.EPOLLIN)

    def _close(self, listeners: Collection[Listener]) -> None:
        """Serve these no more; connections go on."""
        for descriptor in self._listeners.remove(frozenset(listeners)):
            self._full.discard(descriptor)
            os.close(descriptor)

    def _reset(self, netns: Collection[str]) -> None:
        """End the connections in these namespaces, and keep no socket there."""
        for connection in tuple(self._connections.values()):
            if connection.netns in netns:
                self._end(connection, reset=True)

    def _turn(self) -> None:
        """Wait for something to do, and do it."""
        waiting = bool(self._connections or self._full or not self._listeners.is_small)
        if self._sweeping:
            time.sleep(MUSTER_S)
            self._sweeping = False
        come = self._epoll.poll(SWEEP_S if waiting else None, EVENTS_A_TURN)
        for descriptor, _ in come:
            if listener := self._listeners.of(descriptor):
                self._take(listener, descriptor)
            elif handler := self._handlers.get(descriptor):
                handler()
        if waiting and time.monotonic() >= self._next_sweep_s:
            self._next_sweep_s = time.monotonic() + SWEEP_S
            self._sweep()
        if not come:
            self._listeners.forget()

    def _sweep(self) -> None:
        """Close the connections that were silent too long; accept again where none could be."""
        oldest_s = time.monotonic() - self._idle_s
        for connection in tuple(self._connections.values()):
            if connection.active_s > oldest_s:
                break
            self._end(connection)
        while self._full:
            self._epoll.modify(self._full.pop(), select.EPOLLIN)

    def _take(self, listener: Listener, descriptor: int) -> None:
        """Serve who has come to a listener; the socket object lasts as long as that."""
        kind = socket.SOCK_DGRAM if listener.protocol == "udp" else socket.SOCK_STREAM
        server = CSocket(family(listener.address), kind, 0, descriptor)
        try:
            if kind == socket.SOCK_DGRAM:
                self._datagrams(listener, server)
            else:
                self._accept(listener, server)
        finally:
            server.detach()

    def _accept(self, listener: Listener, server: CSocket) -> None:
        """Begin the conversations of the clients that have come."""
        try:
            for _ in range(TAKEN_AT_ONCE):
                descriptor, client = server._accept()  # type: ignore[attr-defined]
                accepted = CSocket(server.family, server.type, server.proto, descriptor)
                self._begin(listener, accepted, client)
        except BlockingIOError:
            return
        except OSError as error:
            # accept(2): an error of the new connection is passed on here; it concerns nobody else
            if error.errno in NO_DESCRIPTORS:  # its client would be reported again and again
                self._epoll.modify(server.fileno(), 0)
                self._full.add(server.fileno())

    def _begin(self, listener: Listener, accepted: CSocket, client: Address) -> None:
        if _has_left(accepted):
            self._sweeping = True
            return accepted.close()
        about = _about(listener, accepted.getsockname(), client)
        connection = Connection(listener.netns, accepted, self._conversation(listener, about))
        events = connection.advance()
        if events == OVER:
            return connection.close()
        if len(self._connections) >= self._most_connections:
            self._end(next(iter(self._connections.values())))
        self._connections[accepted.fileno()] = connection
        self._handlers[accepted.fileno()] = partial(self._advance, connection)
        self._epoll.register(accepted.fileno(), events)
        connection.events = events
        return None

    def _conversation(self, listener: Listener, about: About) -> Conversation:
        if listener.protocol == "imds":
            client, _, _ = about["client"].rpartition(":")
            return imds.conversation(listener.metadata, client, self._tokens)
        if listener.protocol == "tcp":
            return LineEcho(about)
        if listener.site:
            return http_site(listener.site)
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

    def _datagrams(self, listener: Listener, server: CSocket) -> None:
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


def _has_left(accepted: CSocket) -> bool:
    """Whether the client is gone, as a probe is that only wanted to know that it could come."""
    try:
        accepted.getpeername()
    except OSError:
        return True
    return False


def _about(listener: Listener, local: Address, client: Address) -> About:
    """What every answer begins with."""
    return {
        "pod": listener.pod,
        "node": listener.node,
        "container": listener.container,
        "local": f"{local[0]}:{local[1]}",
        "client": f"{client[0]}:{client[1]}",
    }
