"""What the pods' servers say, without sockets."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.probes.servers.echo import LineEcho, datagram_answer, http_echo

ABOUT = {"pod": "web-0", "local": "10.0.1.5:80", "client": "10.0.1.9:41234"}


def answers(said: bytes) -> list[tuple[str, bytes]]:
    """Status line and body of each answer, by their Content-Length."""
    found = []
    while said:
        head, _, rest = said.partition(b"\r\n\r\n")
        status, *fields = head.decode().split("\r\n")
        length = int(dict(line.split(": ") for line in fields)["Content-Length"])
        found.append((status, rest[:length]))
        said = rest[length:]
    return found


def test_a_get_is_answered_with_what_the_server_saw() -> None:
    echo = http_echo(ABOUT)

    [(status, body)] = answers(echo.receive(b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n"))

    assert status == "HTTP/1.1 200 OK"
    assert body.endswith(b"}\n")
    assert json.loads(body) == {**ABOUT, "method": "GET", "path": "/a?b=c"}
    assert not echo.over


def test_head_has_the_length_of_the_body_it_leaves_out() -> None:
    head = http_echo(ABOUT).receive(b"HEAD / HTTP/1.1\r\n\r\n")
    get = http_echo(ABOUT).receive(b"GET  / HTTP/1.1\r\n\r\n".replace(b"  ", b" "))

    assert head.endswith(b"\r\n\r\n")
    assert b"Content-Length: %d\r\n" % (len(get.partition(b"\r\n\r\n")[2]) + 1) in head


def test_a_post_is_answered_when_its_body_has_come() -> None:
    echo = http_echo(ABOUT)

    first = echo.receive(b"POST /form HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc")
    second = echo.receive(b"defGET / HTTP/1.1\r\n\r\n")

    assert first == b""
    assert [json.loads(body)["method"] for _, body in answers(second)] == ["POST", "GET"]


def test_a_client_that_waits_for_100_continue_gets_it_before_its_body() -> None:
    echo = http_echo(ABOUT)

    head = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"

    assert echo.receive(head) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert echo.receive(b"x").startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("request_line", "over"),
    [
        (b"GET / HTTP/1.1", False),
        (b"GET / HTTP/1.1\r\nConnection: close", True),
        (b"GET / HTTP/1.0", True),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive", False),
    ],
)
def test_the_connection_ends_when_the_client_wants_no_more(
    request_line: bytes, over: bool
) -> None:
    echo = http_echo(ABOUT)

    echo.receive(request_line + b"\r\n\r\n")

    assert echo.over is over


def test_a_request_typed_by_hand_may_end_its_lines_with_a_lone_newline() -> None:
    [(status, _)] = answers(http_echo(ABOUT).receive(b"GET / HTTP/1.0\n\n"))

    assert status == "HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"hello\r\n\r\n", "400 Bad Request"),
        (b"GET / HTTP/2.0\r\n\r\n", "400 Bad Request"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", "400 Bad Request"),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400 Bad Request"),
        (b"GET / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", "400 Bad Request"),
        (b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "411 Length Required"),
        (b"GET /" + b"a" * 20_000, "431 Request Header Fields Too Large"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5_000, "431 Request Header Fields Too Large"),
    ],
)
def test_what_can_not_be_read_is_refused_and_ends_the_connection(sent: bytes, status: str) -> None:
    echo = http_echo(ABOUT)

    [(line, body)] = answers(echo.receive(sent))

    assert line == f"HTTP/1.1 {status}"
    assert json.loads(body)["error"] == status
    assert echo.over
    assert echo.receive(b"GET / HTTP/1.1\r\n\r\n") == b""


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_no_garbage_breaks_it(pieces: list[bytes]) -> None:
    echo = http_echo(ABOUT)

    for piece in pieces:
        echo.receive(piece)


@given(st.data())
def test_it_does_not_matter_how_the_network_cuts_the_requests(data: st.DataObject) -> None:
    requests = (
        b"GET /1 HTTP/1.1\r\nA: b\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" * 2
    )
    cut = data.draw(st.integers(0, len(requests)))
    echo = http_echo(ABOUT)

    said = echo.receive(requests[:cut]) + echo.receive(requests[cut:])

    assert said == http_echo(ABOUT).receive(requests)
    assert len(answers(said)) == 4


def test_a_tcp_server_speaks_first_and_then_repeats() -> None:
    echo = LineEcho(ABOUT)

    assert json.loads(echo.greeting()) == ABOUT
    assert echo.receive(b"hello\n") == b"hello\n"


def test_a_datagram_is_repeated_in_its_answer_up_to_a_length() -> None:
    assert json.loads(datagram_answer(ABOUT, b"hi \xff")) == {
        **ABOUT,
        "data": "hi \N{REPLACEMENT CHARACTER}",
    }
    assert len(json.loads(datagram_answer(ABOUT, b"x" * 60_000))["data"]) == 1024


def test_a_proxy_tells_whom_it_speaks_for() -> None:
    """The PROXY protocol, version 1; a line like it later on is no more than a bad request."""
    line = b"PROXY TCP4 203.0.113.10 10.0.101.4 34567 80\r\n"
    request = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"
    conversation = http_echo(ABOUT)

    first = conversation.receive(line + request)
    again = conversation.receive(line + request)

    assert b'"proxied": "203.0.113.10:34567"' in first
    assert again.startswith(b"HTTP/1.1 400")
    assert b"proxied" not in http_echo(ABOUT).receive(request)
