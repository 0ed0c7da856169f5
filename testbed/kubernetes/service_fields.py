"""Fields of a Service that may be written in two ways."""

from ipaddress import IPv4Address
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from testbed.description import refusal
from testbed.description.ports import MOST_PORT
from testbed.description.problem import found

NO_CLUSTER_IP: Literal["None"] = "None"  # kubernetes' own word: the Service is headless


def _port_or_name(given: Any) -> Any:
    """A number or a container port's name."""
    if isinstance(given, bool) or not isinstance(given, int | str | None):
        raise refusal(f"expected a port or a container port's name, found {found(given)}")
    if isinstance(given, int) and not 1 <= given <= MOST_PORT:
        raise refusal(f"expected a port from 1 to {MOST_PORT}, found {found(given)}")
    return given


TargetPort = Annotated[int | str | None, BeforeValidator(_port_or_name)]


def _cluster_ip(given: Any) -> Any:
    """An address, or the word for a headless Service."""
    if given is None or given == NO_CLUSTER_IP or isinstance(given, IPv4Address):
        return given
    try:
        return IPv4Address(str(given))
    except ValueError as error:
        raise refusal(f"expected an IPv4 address or None, found {found(given)}") from error


ClusterIp = Annotated[
    IPv4Address | Literal["None"] | None,
    BeforeValidator(_cluster_ip, json_schema_input_type=str | None),
]
