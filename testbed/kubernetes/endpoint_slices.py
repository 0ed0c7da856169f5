"""Addresses behind a Service that somebody wrote down: Endpoints and EndpointSlices, as one class.

Kubernetes' controller writes them for every Service with a selector; of one without, users do.
"""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from testbed.description import STRICT, Ip, Whole, named
from testbed.description.ports import MOST_PORT


@dataclass(frozen=True, config=STRICT)
class EndpointAddress:
    """An address with its conditions.  pod: its `targetRef`, if that is a pod.

    serving: ready, or ready but for being deleted (`terminating`).  hostname: below the Service's.
    zone_hints: the zones it is meant for, where the Service has its callers' zones preferred.
    """

    ip: Ip
    node_name: str = ""
    pod: str = ""
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    hostname: str = ""
    zone_hints: tuple[str, ...] = ()


@dataclass(frozen=True, config=STRICT)
class EndpointPort:
    """A port that all addresses of a slice serve; its name is the Service's port's."""

    port: Annotated[Whole, Field(ge=1, le=MOST_PORT)]
    name: str = ""
    protocol: Literal["TCP", "UDP"] = "TCP"


@dataclass(frozen=True, config=STRICT)
class EndpointSlice:
    """Addresses that all serve the same ports of a Service: a slice, or a subset of an Endpoints.

    kind: as what it was written.  Several subsets of one Endpoints object share its name.
    """

    name: str
    service: str
    addresses: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointPort, ...] = ()
    namespace: str = "default"
    kind: Literal["Endpoints", "EndpointSlice"] = "EndpointSlice"

    @property
    def qualified(self) -> str:
        """`web`, or `kube-system.dns` outside `default`."""
        return self.name if self.namespace == "default" else f"{self.namespace}.{self.name}"


EndpointSlices = Annotated[tuple[EndpointSlice, ...], named()]
