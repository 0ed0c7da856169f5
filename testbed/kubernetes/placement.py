"""Where a pod came to be: its node and address, or why it waits for one."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network


@dataclass(frozen=True)
class PodAddress:
    """A running pod.  With `host_network`, `ip` is its node's own address, on eth0.

    pod: its name as users type it, `Pod.netns`.  node: the namespace of its node, which is the
    pod's own for a pod on Fargate.  device_index: the ENI that owns the address.
    """

    pod: str
    cluster: str
    node: str
    device_index: int
    ip: IPv4Address
    host_network: bool = False

    @property
    def on_fargate(self) -> bool:
        """Whether the pod has a virtual machine for itself, and with it a network interface."""
        return self.node == self.pod


@dataclass(frozen=True)
class Pending:
    """A pod that does not run, and why.  `node`: where the scheduler bound it, if it did."""

    pod: str
    cluster: str
    reason: str
    node: str = ""


@dataclass(frozen=True)
class NodeRange:
    """The range a node's pods get their addresses from, where pods have no ENI addresses.

    last_reserved_ip: what host-local gave last, or what it shall go on from.
    """

    node: str
    cluster: str
    cidr: IPv4Network
    last_reserved_ip: IPv4Address | None = None


@dataclass(frozen=True)
class NodeIpam:
    """Where a cluster's node IPAM goes on: behind the range it gave last; none yet, at the first.

    Source: kubernetes, pkg/controller/nodeipam/ipam/cidrset/cidr_set.go: nextCandidate.
    """

    cluster: str
    last: IPv4Network | None = None


@dataclass(frozen=True)
class Placed:
    """What became of a cluster's pods and nodes; each tuple in the topology's order."""

    pods: tuple[PodAddress, ...] = ()
    pending: tuple[Pending, ...] = ()
    ranges: tuple[NodeRange, ...] = ()
    ipam: tuple[NodeIpam, ...] = ()


@dataclass(frozen=True)
class ServiceAddress:
    """What a Service was given: its ClusterIP, and a node port for each of its ports or none.

    service: its qualified name.  cluster_ip: none of a headless one and an ExternalName.
    ports: whose node ports they are, by number.  health_check_node_port: 0 for none.
    """

    service: str
    cluster: str
    cluster_ip: IPv4Address | None
    node_ports: tuple[int, ...] = ()
    ports: tuple[int, ...] = ()
    health_check_node_port: int = 0
