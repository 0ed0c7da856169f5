"""HTTP probes: a real GET; the answer tells who answered and which client address it saw."""

import json
from collections.abc import Sequence
from typing import Any

from testbed.kernel.namespaces.store import NamespaceStore
from testbed.net.facts import IpAddress
from testbed.probes import exchange
from testbed.probes.outcome import Outcome, Outcomes, Row, Target, failed
from testbed.probes.tcp import Connect

MOST_RECEIVED = 1 << 20  # bytes of an answer that are read; the pods' own have 300
READ = 65536


class Get:
    """A connection, a request on it, and the answer as far as it has come."""

    __slots__ = ("_connect", "_received", "_request", "events", "socket")

    def __init__(self, target: Target) -> None:
        self._connect = Connect(target)
        self.socket = self._connect.socket
        self.events = exchange.CONNECTING
        host, port = target.address
        self._request = f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
        self._received = b""

    def advance(self) -> Outcome | None:
        """Go on with the connection, then with the answer."""
        try:
            if self.events == exchange.CONNECTING:
                outcome = self._connect.advance()
                if outcome is None or not outcome.delivered:
                    return outcome
                self.socket.send(self._request.encode())
                self.events = exchange.ANSWERING
            return self._receive()
        except BlockingIOError:
            return None
        except OSError as error:
            return failed(error.errno or 0)

    def _receive(self) -> Outcome | None:
        received = self.socket.recv(READ)
        self._received += received
        whole = not received or len(self._received) > MOST_RECEIVED
        return outcome(self._received, whole=whole)


def outcome(received: bytes, *, whole: bool) -> Outcome | None:
    """What an answer says; none: more of it has to come.  whole: no more will."""
    head, end, body = received.partition(b"\r\n\r\n")
    if not whole and (not end or len(body) < _length(head)):
        return None
    if not head.startswith(b"HTTP/1."):
        return Outcome("refused", "the connection ended without an HTTP answer")
    status = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")[2]
    return Outcome("delivered", f"HTTP {status}", _json(body))


def _length(head: bytes) -> float:
    """The length of the body; without the field it ends with the connection (RFC 9112, 6.3)."""
    for line in head.lower().split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name == b"content-length" and value.strip().isdigit():
            return int(value[:20])
    return float("inf")


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def sweep(store: NamespaceStore, rows: Sequence[Row], *, timeout_s: float = 1.0) -> Outcomes:
    """The outcome of a GET from every target of every row."""
    return exchange.run(store, rows, Get, timeout_s=timeout_s)


def probe(
    store: NamespaceStore, source: str, address: IpAddress, port: int, *, timeout_s: float = 1.0
) -> Outcome:
    """The outcome of a GET from a namespace; its `answer` is the JSON seen, if it was any."""
    row = Row(source, [Target.of(address, port)])
    return sweep(store, [row], timeout_s=timeout_s)[0][0]
