"""Where a pod came to be: its node and address, or why it waits for one."""

from dataclasses import dataclass
from ipaddress import IPv4Address


@dataclass(frozen=True)
class PodAddress:
    """A running pod.  With `host_network`, `ip` is its node's own address, on eth0.

    pod: its name as users type it, `Pod.netns`.  device_index: the ENI that owns the address.
    """

    pod: str
    cluster: str
    node: str
    device_index: int
    ip: IPv4Address
    host_network: bool = False


@dataclass(frozen=True)
class Pending:
    """A pod that does not run, and why.  `node`: where the scheduler bound it, if it did."""

    pod: str
    cluster: str
    reason: str
    node: str = ""
