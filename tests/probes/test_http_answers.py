"""What an HTTP probe makes of the bytes it gets."""

import pytest

from testbed.probes.http import outcome
from testbed.probes.outcome import Outcome

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"


def test_an_answer_is_complete_at_its_length() -> None:
    assert outcome(OK + b'{"a":"b"', whole=False) is None
    assert outcome(OK + b'{"a":"b"}', whole=False) == Outcome(
        "delivered", "HTTP 200 OK", {"a": "b"}
    )


def test_an_answer_without_a_length_is_complete_at_the_end_of_the_connection() -> None:
    received = b"HTTP/1.0 404 Not Found\r\n\r\n<html>"

    assert outcome(received, whole=False) is None
    assert outcome(received, whole=True) == Outcome("delivered", "HTTP 404 Not Found")


def test_json_that_is_no_object_is_not_one_of_ours() -> None:
    received = OK + b"[1, 2, 3]"

    assert outcome(received, whole=False) == Outcome("delivered", "HTTP 200 OK")


@pytest.mark.parametrize("received", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"\0" * 100])
def test_what_is_not_http_is_no_answer(received: bytes) -> None:
    expected = Outcome("refused", "the connection ended without an HTTP answer")

    assert outcome(received, whole=False) is None
    assert outcome(received, whole=True) == expected
