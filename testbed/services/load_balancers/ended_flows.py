"""Flows that a Network Load Balancer ends because their target has become unhealthy.

Its memory of them goes, so that what clients still send is answered by a RST.  Not so while all
targets are taken (fail open), of UDP, and where `connection_termination` is off.

Source: Elastic Load Balancing, Network Load Balancers: "Health checks", "Unhealthy connection
termination".
"""

from collections.abc import Collection, Iterable, Iterator

from testbed.services.load_balancers.health import Health, Server
from testbed.services.load_balancers.targets import Target, TargetGroup

Command = tuple[str, ...]


def ended_flows(
    ns: str, groups: Iterable[TargetGroup], before: Health, after: Health
) -> Iterator[Command]:
    """The conntrack commands in a load balancer's namespace when health changes."""
    for group in groups:
        sick = _sick(ns, group, after.unhealthy)
        fails_open = len(sick) == len(group.targets)
        if _can_end(group) and not fails_open:
            was = {target.name for target in _sick(ns, group, before.unhealthy)}
            yield from (_ended(group, one) for one in sick if one.name not in was)


def _can_end(group: TargetGroup) -> bool:
    """Those of a listener that is relayed its haproxy ends itself."""
    return group.ends_unhealthy and group.protocol == "tcp" and not group.is_relayed


def _sick(ns: str, group: TargetGroup, unhealthy: Collection[tuple[str, Server]]) -> list[Target]:
    return [one for one in group.targets if (ns, Server(group.listener, one.name)) in unhealthy]


def _ended(group: TargetGroup, target: Target) -> Command:
    return (
        *("conntrack", "-D", "-p", group.protocol, "--dport", str(group.port)),
        *("--dst-nat", str(target.ip)),
    )
