"""HTTP/1.1 as a server speaks it (RFC 9112): bytes received to bytes answered, no socket."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from testbed.net.served.endpoints import Page
from testbed.probes.servers.proxy_header import proxy_header

LONGEST_HEAD = 16384  # bytes of request line and header fields; Apache and nginx take 8 KiB a line

END_OF_LINE = re.compile(rb"\r?\n")  # RFC 9112, 2.2: a lone LF may end a line
END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~\x80-\xff]+) HTTP/1\.([01])")
FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*", re.DOTALL)
LENGTH = re.compile(rb"[0-9]{1,15}")

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BAD_REQUEST = "400 Bad Request"
LENGTH_REQUIRED = "411 Length Required"
HEAD_TOO_LARGE = "431 Request Header Fields Too Large"


@dataclass(frozen=True)
class Request:
    """What the head of a request asks for.  fields: names in lower case.

    proxied: the client that a proxy told of, by the PROXY protocol; empty for none.
    """

    method: str
    path: str
    fields: Mapping[str, str]
    body_bytes: int
    last: bool  # the client wants no further answer on this connection
    expects_continue: bool
    proxied: str = ""


@dataclass(frozen=True)
class Response:
    """An answer.  ttl: of the packets that carry it; 0 leaves that to the kernel."""

    page: Page
    ttl: int = 0


class _Refused(Exception):
    """The head is not one we can read; the text is the status line's."""


class Http:
    """A conversation in which every request is answered by a function.

    answer: of a request that was read; refuse: of one that cannot be, by the status that says so.
    State: the bytes not understood yet, and the request whose body is still to come.
    """

    def __init__(
        self, answer: Callable[[Request], Response], refuse: Callable[[str], Response]
    ) -> None:
        self.over = False
        self.ttl = 0
        self._answer = answer
        self._refuse = refuse
        self._received = b""
        self._proxied: str | None = None  # None until the first bytes are looked at
        self._request: Request | None = None
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
            said.append(_message(self._refuse(str(refused)).page, last=True))
        return b"".join(said)

    def _advance(self) -> bytes | None:
        """Take one head or one body off what was received; none: it is not complete."""
        if self._request:
            return self._body(self._request)
        self._take_proxy_header()
        self._received = self._received.lstrip(b"\r\n")  # RFC 9112, 2.2: empty lines come before
        end = END_OF_HEAD.search(self._received, 0, LONGEST_HEAD)
        if end is None:
            if len(self._received) >= LONGEST_HEAD:
                raise _Refused(HEAD_TOO_LARGE)
            return None
        request = _request(self._received[: end.start()])
        self._request = request = replace(request, proxied=self._proxied or "")
        self._received = self._received[end.end() :]
        self._body_bytes = request.body_bytes
        return CONTINUE if request.expects_continue else b""

    def _take_proxy_header(self) -> None:
        """Whom a proxy says it speaks for; it says so in its first segment, or never."""
        if self._proxied is None and self._received:
            self._proxied, length = proxy_header(self._received)
            self._received = self._received[length:]

    def _body(self, request: Request) -> bytes | None:
        """Skip the body; the answer when it has come to its end."""
        skipped = min(self._body_bytes, len(self._received))
        self._received = self._received[skipped:]
        self._body_bytes -= skipped
        if self._body_bytes:
            return None
        self._request, self.over = None, request.last
        response = self._answer(request)
        self.ttl = response.ttl
        return _message(response.page, last=request.last, bodiless=request.method == "HEAD")


def _request(head: bytes) -> Request:
    """Read a head.  Raises _Refused."""
    request_line, *field_lines = END_OF_LINE.split(head)
    line = REQUEST_LINE.fullmatch(request_line)
    matches = [FIELD_LINE.fullmatch(text) for text in field_lines]
    fields = {match[1].lower(): match[2] for match in matches if match}
    length = fields.get(b"content-length", b"0")
    if line is None or None in matches or not LENGTH.fullmatch(length):
        raise _Refused(BAD_REQUEST)
    if b"transfer-encoding" in fields:
        raise _Refused(LENGTH_REQUIRED)
    method, path, minor = line.groups()
    connection = fields.get(b"connection", b"").lower()
    return Request(
        method=method.decode(),
        path=path.decode("latin-1"),
        fields={name.decode(): value.decode("latin-1") for name, value in fields.items()},
        body_bytes=int(length),
        last=b"close" in connection or (minor == b"0" and b"keep-alive" not in connection),
        expects_continue=fields.get(b"expect", b"").lower() == b"100-continue",
    )


def _message(page: Page, *, last: bool, bodiless: bool = False) -> bytes:
    content = page.content.encode()
    fields = [
        *page.fields,
        ("Content-Length", str(len(content))),
        ("Connection", "close" if last else "keep-alive"),
    ]
    lines = [f"HTTP/1.1 {page.status}", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode() + (b"" if bodiless else content)
