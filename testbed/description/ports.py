"""The ports a server answers on, as topologies write them: 80, 80/http, 7/udp."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from testbed.description import STRICT, Ip, Whole, refusal
from testbed.description.problem import found

Protocol = Literal["tcp", "udp", "http"]
MOST_PORT = 65535  # RFC 793: sixteen bits


@dataclass(frozen=True, config=STRICT)
class Port:
    """A port a container serves; each answers with what it saw of the connection.

    name: by which a Service may call it.  host_port: the port of the node that leads to it;
    host_ip: of which of the node's addresses, where not of all.
    """

    number: Annotated[Whole, Field(ge=1, le=MOST_PORT)]
    protocol: Protocol = "http"
    name: str = ""
    host_port: Annotated[Whole, Field(ge=1, le=MOST_PORT)] | None = None
    host_ip: Annotated[Ip | None, Field(alias="hostIP")] = None

    @property
    def transport(self) -> Literal["tcp", "udp"]:
        """What carries it: HTTP is TCP."""
        return "udp" if self.protocol == "udp" else "tcp"

    def __str__(self) -> str:
        return f"{self.number}/{self.protocol}"


def _port(given: Any) -> Any:
    """`80/http` as a Port; a number alone serves HTTP."""
    if isinstance(given, Port | Mapping):
        return given
    written = given if isinstance(given, int | str) and not isinstance(given, bool) else ""
    match = re.fullmatch(r"([0-9]{1,5})(?:/(tcp|udp|http))?", str(written))
    if not match:
        raise refusal(f"expected a port such as 80, 80/http or 53/udp, found {found(given)}")
    return {"number": int(match[1]), "protocol": match[2] or "http"}


PortText = Annotated[str, Field(pattern="^[0-9]{1,5}(/(tcp|udp|http))?$")]
Ports = tuple[
    Annotated[Port, BeforeValidator(_port, json_schema_input_type=Port | int | PortText)],
    ...,
]
ECHO_PORTS = (Port(80, "http"), Port(7, "tcp"), Port(7, "udp"))
