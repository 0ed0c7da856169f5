"""What the pods' servers say: bytes received to bytes answered, without any socket.

Every answer is one line of JSON that names the pod and both addresses of the connection as the
server saw them, so that address translation on the way is visible with plain `curl` or `nc`.
"""

import json
from collections.abc import Mapping
from typing import Protocol

from testbed.net.served.endpoints import Page
from testbed.probes.servers.http_server import Http, Request, Response

About = Mapping[str, str]  # pod, node, container, local, client

FORWARDED = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-port")
LONGEST_DATA = 1024  # characters of a datagram that its answer repeats, so that it stays small


class Conversation(Protocol):
    """The server's side of a connection.

    over: what comes from now on is not answered.  ttl: of the packets that carry what it says; 0
    leaves that to the kernel.
    """

    over: bool
    ttl: int

    def greeting(self) -> bytes:
        """What is said before anything was received."""

    def receive(self, data: bytes) -> bytes:
        """What is said to what has come."""


def json_line(body: Mapping[str, str]) -> bytes:
    """One line of JSON."""
    return json.dumps(body).encode() + b"\n"


def datagram_answer(about: About, data: bytes) -> bytes:
    """The answer to a datagram; of a long one the first 1024 characters are repeated."""
    return json_line({**about, "data": data.decode(errors="replace")[:LONGEST_DATA]})


class LineEcho:
    """TCP: the JSON line at once, then whatever comes, back."""

    def __init__(self, about: About) -> None:
        self.over = False
        self.ttl = 0
        self._about = about

    def greeting(self) -> bytes:
        """The JSON line."""
        return json_line(self._about)

    def receive(self, data: bytes) -> bytes:
        """The same bytes."""
        return data


def http_echo(about: About, page: Page | None = None) -> Http:
    """HTTP: every request is answered with the JSON line, with its method and path.

    Behind a proxy also with what that says of its client: `proxied`, by the PROXY protocol, and
    the fields of HTTP, `x-forwarded-for`, …
    page: the answer in place of that.
    """

    def answer(request: Request) -> Response:
        seen = {**about, "method": request.method, "path": request.path}
        seen |= {name: request.fields[name] for name in FORWARDED if name in request.fields}
        if request.proxied:
            seen["proxied"] = request.proxied
        return Response(page or _json_page("200 OK", seen))

    def refuse(status: str) -> Response:
        return Response(_json_page(status, {**about, "error": status}))

    return Http(answer, refuse)


def _json_page(status: str, body: Mapping[str, str]) -> Page:
    return Page(status, json_line(body).decode(), (("Content-Type", "application/json"),))
