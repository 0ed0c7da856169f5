"""Nodes, pods and containers as a topology describes them, in Kubernetes' and EC2's words."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from testbed.description import STRICT, Ip, Whole, named, refusal
from testbed.problem import found

Protocol = Literal["tcp", "udp", "http"]
MOST_PORT = 65535  # RFC 793: sixteen bits


@dataclass(frozen=True, config=STRICT)
class Port:
    """A port a container serves; each answers with what it saw of the connection."""

    number: Annotated[Whole, Field(ge=1, le=MOST_PORT)]
    protocol: Protocol

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
    Annotated[Port, BeforeValidator(_port, json_schema_input_type=int | PortText)],
    ...,
]
ECHO_PORTS = (Port(80, "http"), Port(7, "tcp"), Port(7, "udp"))


@dataclass(frozen=True, config=STRICT)
class Container:
    """A server in a pod; the containers of a pod share its addresses and its ports."""

    name: str
    ports: Ports = ECHO_PORTS


@dataclass(frozen=True, config=STRICT)
class Pod:
    """A pod.  `node`: where it must run; empty lets the scheduler choose.

    `eni`: the device index of the ENI whose addresses it shall have; none lets ipamD choose.
    """

    name: str
    namespace: str = "default"
    node: str = ""
    host_network: bool = False
    containers: Annotated[tuple[Container, ...], named()] = (Container("echo"),)
    eni: Annotated[Whole, Field(ge=0)] | None = None

    @property
    def netns(self) -> str:
        """The name users type: `web-0`, or `kube-system.coredns-0` outside `default`."""
        return self.name if self.namespace == "default" else f"{self.namespace}.{self.name}"

    @classmethod
    def replicas(cls, name: str, count: int, **same: Any) -> tuple[Self, ...]:
        """`count` equal pods `name-0`, `name-1`, …, as a StatefulSet names them."""
        return tuple(cls(f"{name}-{i}", **same) for i in range(count))


@dataclass(frozen=True, config=STRICT)
class Node:
    """An EC2 instance that is a worker node.

    max_pods: kubelet's --max-pods; none takes what the instance type's addresses allow.
    """

    name: str
    subnet: str
    instance_type: str
    private_ip: Ip | None = None
    source_dest_check: bool = True
    max_pods: Annotated[Whole, Field(ge=0)] | None = None


Pods = Annotated[tuple[Pod, ...], named(replicated=True)]
Nodes = Annotated[tuple[Node, ...], named()]
