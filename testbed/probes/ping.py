"""ICMP echo through raw sockets: one destination a few times, or whole rows of a matrix.

Needs CAP_NET_RAW over the source's namespace.
"""

import errno
import os
import select
import socket
import struct
import time
from _socket import socket as CSocket  # noqa: N812 - the C class: no Python around each call
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

from testbed.errors import KernelError
from testbed.kernel.namespaces import NamespaceStore
from testbed.net.facts import IpAddress
from testbed.probes import icmp
from testbed.probes.outcome import DELIVERED, TIMEOUT, Outcome, Outcomes, Row, Target, failed
from testbed.probes.sockets import inside

SOL_RAW = 255  # linux/socket.h
ICMP_FILTER = 1  # linux/icmp.h: a bit set keeps that type out
HEARD = (icmp.ECHO_REPLY, icmp.UNREACHABLE, icmp.TIME_EXCEEDED)
FILTER = struct.pack("=I", ~sum(1 << kind for kind in HEARD) & 0xFFFFFFFF)
LONGEST = 128  # bytes of a packet that are read: an error, and the request it quotes
# Answers wait in the socket (212,992 bytes, 768 each) and, on a busy machine, in a queue of 1,000
# packets per CPU (net.core.netdev_max_backlog): so many requests go out before answers are read.
CHUNK = 256
RECEIVE_BUFFER = 1 << 20  # bytes; the kernel grants what net.core.rmem_max allows
CONGESTION = (errno.ENOBUFS, errno.EAGAIN)  # a request that is sent again later
SENDINGS = 4  # of a request, in equal parts of the time there is


@dataclass(frozen=True)
class PingResult:
    """Echo requests and their replies.  errors: what kernels said instead of a reply."""

    sent: int
    received: int
    rtt_ms: tuple[float, ...]
    errors: tuple[str, ...] = ()


def ping(
    store: NamespaceStore,
    source: str,
    destination: IpAddress,
    *,
    count: int = 1,
    timeout_s: float = 1.0,
) -> PingResult:
    """Echo requests from a namespace, one after the other, and what came back.

    timeout_s: for each request.  Raises KernelError (no such namespace); loss is a result.
    """
    with closing(_Source(store, Row(source, [Target.of(destination)] * count))) as pinger:
        rtt_ms = [pinger.round_trip_ms(number, timeout_s) for number in range(count)]
    replies = tuple(rtt for rtt in rtt_ms if rtt is not None)
    errors = (outcome.reason for outcome in pinger.outcomes if outcome.verdict == "unreachable")
    return PingResult(count, len(replies), replies, tuple(errors))


def sweep(store: NamespaceStore, rows: Sequence[Row], *, timeout_s: float = 1.0) -> Outcomes:
    """The outcome of an echo request to every target of every row.

    timeout_s: after the first request to the last target, for all that are silent together.
    Raises KernelError (no such namespace, no free descriptors).
    """
    with ExitStack() as stack:
        outcomes = []
        silent = []
        for row in rows:
            with ExitStack() as sent:
                source = sent.enter_context(closing(_Source(store, row)))
                outcomes.append(source.outcomes)
                source.send(range(len(row.targets)))
                if source.missing:  # its socket is needed longer
                    silent.append(source)
                    stack.push(sent.pop_all())
        _wait(silent, timeout_s)
    return outcomes


def _wait(silent: Sequence["_Source"], timeout_s: float) -> None:
    """Take late answers, and send again what is still missing, until the time is over."""
    began = time.monotonic()
    for sending in range(1, SENDINGS + 1):
        silent = [source for source in silent if source.missing]
        _listen(silent, began + timeout_s * sending / SENDINGS)
        if sending < SENDINGS:
            for source in silent:
                source.send(sorted(source.missing))


def _listen(sources: Iterable["_Source"], deadline: float) -> None:
    """Take answers until the deadline, or until none is missing."""
    waiting = {source.socket.fileno(): source for source in sources}
    with select.epoll() as epoll:
        for descriptor in waiting:
            epoll.register(descriptor, select.EPOLLIN)
        while waiting:
            for descriptor, _ in epoll.poll(max(0.0, deadline - time.monotonic())):
                waiting[descriptor].receive()
                if not waiting[descriptor].missing:
                    epoll.unregister(descriptor)
                    del waiting[descriptor]
            if time.monotonic() >= deadline:
                return


class _Source:
    """The raw socket of one source, and what has come back to it.

    A request's sequence number is the place of its target in the row.
    """

    def __init__(self, store: NamespaceStore, row: Row) -> None:
        self.outcomes = [TIMEOUT] * len(row.targets)
        self.missing = set(range(len(row.targets)))
        self._targets = [target.address for target in row.targets]
        self._answering = [socket.inet_aton(target.address[0]) for target in row.targets]
        self._token = os.urandom(icmp.TOKEN_BYTES)
        self._identifier = int.from_bytes(self._token[:2], "big")
        self.socket = _raw_socket(store, row.netns)

    def close(self) -> None:
        """Let the socket go."""
        self.socket.close()

    def send(self, columns: Sequence[int]) -> None:
        """Send requests to these targets, and take the answers that come at once."""
        for start in range(0, len(columns), CHUNK):
            for column in columns[start : start + CHUNK]:
                packet = icmp.request(self._identifier, column, self._token)
                try:
                    self.socket.sendto(packet, self._targets[column])
                except OSError as error:
                    self._refused(column, error)
            self.receive()

    def receive(self) -> None:
        """Take every packet that has come."""
        receive, token = self.socket.recv, self._token
        try:
            while True:
                packet = receive(LONGEST)
                # a raw socket gets a copy of every ICMP packet of its namespace, and may hold
                # some from before its filter was set
                reply = icmp.message(packet)
                if reply is None or reply.kind != icmp.ECHO_REPLY or reply.token != token:
                    self._take_error(packet)
                elif reply.source == self._answering[reply.sequence]:
                    self._end(reply.sequence, DELIVERED)
        except BlockingIOError:
            return

    def round_trip_ms(self, column: int, timeout_s: float) -> float | None:
        """Send one request; the time until its reply, none without one."""
        began = time.perf_counter()
        self.send([column])
        waiting = select.poll()
        waiting.register(self.socket.fileno(), select.POLLIN)
        deadline = began + timeout_s
        while column in self.missing and (left := deadline - time.perf_counter()) > 0:
            waiting.poll(left * 1000)
            self.receive()
        ended = time.perf_counter()
        return (ended - began) * 1000 if self.outcomes[column].delivered else None

    def _end(self, column: int, outcome: Outcome) -> None:
        self.outcomes[column] = outcome
        self.missing.discard(column)

    def _refused(self, column: int, error: OSError) -> None:
        """The source's own kernel did not take a request."""
        if error.errno not in CONGESTION:
            self._end(column, failed(error.errno or 0))

    def _take_error(self, packet: bytes) -> None:
        """An ICMP error about one of our requests: its outcome.  Anything else is not for us."""
        about = icmp.error(packet)
        if about and about[0].token == self._token:
            self._end(about[0].sequence, Outcome("unreachable", about[1]))


def _raw_socket(store: NamespaceStore, netns: str) -> CSocket:
    """A raw ICMP socket that hears replies and errors, but no requests."""
    with inside(store, netns):
        try:
            raw = CSocket(
                socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP
            )
        except OSError as error:
            raise KernelError(f"cannot ping from {netns}: {error.strerror}") from error
    raw.setsockopt(SOL_RAW, ICMP_FILTER, FILTER)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    return raw
