"""Clients of the pods' servers, in a pod's namespace."""

import json
import socket
from typing import Any

from testbed.probes.sockets import socket_in
from tests.waiting import PATIENCE_S


def connected(star: Any, source: str, destination: str, port: int) -> socket.socket:
    client: socket.socket = socket_in(star.store, source)
    client.settimeout(PATIENCE_S)
    client.connect((str(star.address(destination)), port))
    return client


def line(client: socket.socket) -> dict[str, str]:
    received = b""
    while not received.endswith(b"\n"):
        received += client.recv(4096)
    answer: dict[str, str] = json.loads(received)
    return answer
