"""What the pods' servers say: bytes received to bytes answered, without any socket.

Every answer is one line of JSON that names the pod and both addresses of the connection as the
server saw them, so that address translation on the way is visible with plain `curl` or `nc`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from testbed.net.endpoints import Page

About = Mapping[str, str]  # pod, node, container, local, client

LONGEST_HEAD = 16384  # bytes of request line and header fields; Apache and nginx take 8 KiB a line
LONGEST_DATA = 1024  # characters of a datagram that its answer repeats, so that it stays small

END_OF_LINE = re.compile(rb"\r?\n")  # RFC 9112, 2.2: a lone LF may end a line
END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~\x80-\xff]+) HTTP/1\.([01])")
FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*", re.DOTALL)
LENGTH = re.compile(rb"[0-9]{1,15}")

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
OK = "200 OK"
BAD_REQUEST = "400 Bad Request"
LENGTH_REQUIRED = "411 Length Required"
HEAD_TOO_LARGE = "431 Request Header Fields Too Large"


class Conversation(Protocol):
    """The server's side of a connection.  over: what comes from now on is not answered."""

    over: bool

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
        self._about = about

    def greeting(self) -> bytes:
        """The JSON line."""
        return json_line(self._about)

    def receive(self, data: bytes) -> bytes:
        """The same bytes."""
        return data


@dataclass(frozen=True)
class _Request:
    """What the head of a request asks for."""

    method: str
    path: str
    body_bytes: int
    last: bool  # the client wants no further answer on this connection
    expects_continue: bool


class _Refused(Exception):
    """The head is not one we can read; the text is the status line's."""


class HttpEcho:
    """HTTP/1.1: every request is answered with the JSON line, with its method and path (RFC 9112).

    page: the answer in place of that.

    State: the bytes not understood yet, and the request whose body is still to come.
    """

    def __init__(self, about: About, page: Page | None = None) -> None:
        self.over = False
        self._about = about
        self._page = page
        self._received = b""
        self._request: _Request | None = None
        self._body_bytes = 0  # of the request's body, still to come

    def greeting(self) -> bytes:
        """Nothing: in HTTP the client begins."""
        return b""

    def receive(self, data: bytes) -> bytes:
        """The answers to all requests that are complete by now."""
        self._received += data
        said = []
        try:
            while not self.over and (answer := self._advance()) is not None:
                said.append(answer)
        except _Refused as refused:
            self.over = True
            page = _json_page(str(refused), {**self._about, "error": str(refused)})
            said.append(_response(page, last=True))
        return b"".join(said)

    def _advance(self) -> bytes | None:
        """Take one head or one body off what was received; none: it is not complete."""
        if self._request:
            return self._body(self._request)
        self._received = self._received.lstrip(b"\r\n")  # RFC 9112, 2.2: empty lines come before
        end = END_OF_HEAD.search(self._received, 0, LONGEST_HEAD)
        if end is None:
            if len(self._received) >= LONGEST_HEAD:
                raise _Refused(HEAD_TOO_LARGE)
            return None
        self._request = request = _request(self._received[: end.start()])
        self._received = self._received[end.end() :]
        self._body_bytes = request.body_bytes
        return CONTINUE if request.expects_continue else b""

    def _body(self, request: _Request) -> bytes | None:
        """Skip the body; the answer when it has come to its end."""
        skipped = min(self._body_bytes, len(self._received))
        self._received = self._received[skipped:]
        self._body_bytes -= skipped
        if self._body_bytes:
            return None
        self._request, self.over = None, request.last
        seen = {**self._about, "method": request.method, "path": request.path}
        page = self._page or _json_page(OK, seen)
        return _response(page, last=request.last, bodiless=request.method == "HEAD")


def _request(head: bytes) -> _Request:
    """Read a head.  Raises _Refused."""
    request_line, *field_lines = END_OF_LINE.split(head)
    line = REQUEST_LINE.fullmatch(request_line)
    matches = [FIELD_LINE.fullmatch(text) for text in field_lines]
    fields = {match[1].lower(): match[2].lower() for match in matches if match}
    length = fields.get(b"content-length", b"0")
    if line is None or None in matches or not LENGTH.fullmatch(length):
        raise _Refused(BAD_REQUEST)
    if b"transfer-encoding" in fields:
        raise _Refused(LENGTH_REQUIRED)
    method, path, minor = line.groups()
    connection = fields.get(b"connection", b"")
    return _Request(
        method=method.decode(),
        path=path.decode("latin-1"),
        body_bytes=int(length),
        last=b"close" in connection or (minor == b"0" and b"keep-alive" not in connection),
        expects_continue=fields.get(b"expect") == b"100-continue",
    )


def _json_page(status: str, body: Mapping[str, str]) -> Page:
    return Page(status, json_line(body).decode(), (("Content-Type", "application/json"),))


def _response(page: Page, *, last: bool, bodiless: bool = False) -> bytes:
    content = page.content.encode()
    fields = [
        *page.fields,
        ("Content-Length", str(len(content))),
        ("Connection", "close" if last else "keep-alive"),
    ]
    lines = [f"HTTP/1.1 {page.status}", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode() + (b"" if bodiless else content)
