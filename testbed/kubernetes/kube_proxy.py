"""kube-proxy's flags, as a cluster of a topology sets them."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from testbed.description import STRICT, Seconds, Whole, cidr_or, refusal
from testbed.description.ports import MOST_PORT
from testbed.description.problem import Problem, Problems, found, quoted

Era = Literal["1.14", "current"]
DetectLocalMode = Literal["ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"]

Mode = Literal["iptables", "nftables"]

ERAS: tuple[Era, ...] = get_args(Era)
BY_INTERFACE = ("BridgeInterface", "InterfaceNamePrefix")  # modes that look at pod_interface
LONGEST_INTERFACE = 15  # characters of a device's name (linux/if.h, IFNAMSIZ)
PRIMARY: Literal["primary"] = "primary"
EVERYWHERE = IPv4Network("0.0.0.0/0")


def _era(given: Any) -> Any:
    if given is not None and given not in ERAS:
        raise refusal(f'expected "1.14" or "current", found {found(given)}')
    return given


def _bind_address(given: Any) -> Any:
    """`0.0.0.0:10256`, or nothing."""
    address, colon, port = str(given).rpartition(":")
    try:
        IPv4Address(address)
        known = not given or (colon and 1 <= int(port) <= MOST_PORT)
    except ValueError:
        known = given == ""
    if not known:
        raise refusal(
            f"expected an address and a port such as 0.0.0.0:10256, found {found(given)}"
        )
    return given


NodePortAddress = Annotated[IPv4Network | Literal["primary"], cidr_or("primary")]
BindAddress = Annotated[str, BeforeValidator(_bind_address)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class KubeProxy:
    """What kube-proxy was started with; defaults are its own, or the cluster's where it has some.

    era: `1.14` writes what Kubernetes 1.14 did, `current` what 1.30 does.
    mode: whose rules it writes, those of iptables or, today, those of nftables.
    cluster_cidr: the pods' range, by which it tells pods from others; empty for none.
    masquerade_bit: of the mark of what gets the node's address; kubelet's is the same.
    detect_local_mode: how it tells them since 1.18.  BridgeInterface and InterfaceNamePrefix look
    at `pod_interface`; NodeCIDR looks at the node's own range.
    node_port_addresses: the node's addresses that node ports are on; `primary` alone: its first,
    which in mode nftables is meant where none is said.
    conntrack_tcp_be_liberal: nf_conntrack_tcp_be_liberal is set, and INVALID is not dropped.
    iptables_sync_period_s: how often it writes its rules again, 30 s really; none leaves them as
    somebody made them, so that one can look.
    healthz_bind_address, metrics_bind_address: where it answers for itself; empty for nowhere.
    """

    era: Annotated[Era | None, BeforeValidator(_era)] = None
    mode: Mode = "iptables"
    cluster_cidr: Annotated[IPv4Network | Literal[""], cidr_or("")] | None = None
    masquerade_all: bool = False
    masquerade_bit: Annotated[Whole, Field(ge=0, le=31)] = 14
    detect_local_mode: DetectLocalMode = "ClusterCIDR"
    pod_interface: str = ""
    node_port_addresses: tuple[NodePortAddress, ...] = ()
    localhost_node_ports: bool = True
    conntrack_tcp_be_liberal: bool = False
    iptables_sync_period_s: Annotated[
        Seconds | None, Field(alias="iptablesSyncPeriod", gt=0, le=3600)
    ] = None
    healthz_bind_address: BindAddress = "0.0.0.0:10256"
    metrics_bind_address: BindAddress = "127.0.0.1:10249"

    def within(self, era: Era, cluster_cidr: IPv4Network | None) -> Self:
        """The same where nothing is left to the cluster any more; its era and its pods' range."""
        cidr = cluster_cidr or "" if self.cluster_cidr is None else self.cluster_cidr
        return replace(self, era=self.era or era, cluster_cidr=cidr)

    @property
    def masquerade_mark(self) -> str:
        """As rules have it: `0x4000`."""
        return hex(1 << self.masquerade_bit)

    @property
    def every_node_address(self) -> bool:
        """Whether node ports are on all addresses of a node."""
        return not self._node_ports_on or EVERYWHERE in self._node_ports_on

    def has_node_ports(self, address: IPv4Address, primary: IPv4Address | None) -> bool:
        """Whether they are on an address of a node whose own is `primary`, if not on all."""
        return any(
            address == primary if one == PRIMARY else address in one for one in self._node_ports_on
        )

    @property
    def _node_ports_on(self) -> tuple[IPv4Network | Literal["primary"], ...]:
        by_default = (PRIMARY,) if self.mode == "nftables" else ()
        return self.node_port_addresses or by_default

    @property
    def routes_localnet(self) -> bool:
        """Whether node ports are on 127.0.0.1 too, for which it sets route_localnet."""
        if self.era == "1.14":
            return True
        if self.mode == "nftables":
            return False
        loopback = IPv4Network("127.0.0.0/8")
        there = self.every_node_address or any(
            one != PRIMARY and one.overlaps(loopback) for one in self.node_port_addresses
        )
        return self.localhost_node_ports and there


def problems(proxy: KubeProxy) -> Problems:
    """What kube-proxy would refuse of its flags; paths start there.  The cluster filled it in."""
    mode, interface = proxy.detect_local_mode, proxy.pod_interface
    if proxy.era == "1.14" and mode != "ClusterCIDR":
        yield Problem(("detectLocalMode",), "came with Kubernetes 1.18: it is not in era 1.14")
    if proxy.era == "1.14" and proxy.mode == "nftables":
        yield Problem(("mode",), "nftables came with Kubernetes 1.29: it is not in era 1.14")
    if PRIMARY in proxy.node_port_addresses:
        path = ("nodePortAddresses",)
        if proxy.era == "1.14":
            yield Problem(path, "primary came with Kubernetes 1.29: it is not in era 1.14")
        elif len(proxy.node_port_addresses) > 1:
            yield Problem(path, "primary stands alone, not beside other addresses")
    if mode in BY_INTERFACE and not 1 <= len(interface) <= LONGEST_INTERFACE:
        message = f"{mode} needs the name of an interface, 1 to {LONGEST_INTERFACE} characters"
        yield Problem(("podInterface",), f"{message}, found {quoted(interface)}")
