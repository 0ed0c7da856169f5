"""What a VPC's router filters of what it forwards: its security groups and network ACLs.  Pure."""

from testbed.explain.crossing import Dropped, Packet
from testbed.explain.journey import Header
from testbed.explain.netfilter.conntrack import Tracking
from testbed.explain.netfilter.passage import Filtered, Passage
from testbed.explain.packet import Packet as Walking
from testbed.explain.walk.ends import filtered_end
from testbed.explain.walk.space import Space
from testbed.net.facts import IpAddress, NftChain, State
from testbed.vpc.security.forward import FORWARD


class Filters:
    """The forward chains of a plan's routers; made once for many questions."""

    def __init__(self, plan: State) -> None:
        routers = {
            fact.ns
            for fact in plan
            if isinstance(fact, NftChain) and fact.hook == FORWARD and fact.rules
        }
        self._spaces = {ns: Space(ns, (f for f in plan if f.ns == ns)) for ns in routers}

    def refusal(self, packet: Packet, dev: str, next_hop: IpAddress) -> Dropped | None:
        """Why an echo request is not forwarded to a next hop; None where it is."""
        space = self._spaces.get(packet.ns)
        if space is None or not packet.iif or packet.source is None:
            return None
        header = Header(protocol="icmp", source=packet.source, destination=packet.destination)
        walking = Walking(header)
        walking.iif, walking.oif, walking.mark = packet.iif, dev, packet.mark
        walking.next_hop = int(next_hop)
        passage = Passage(space.ns, walking, [], Tracking(), lambda _: 0, space.own)
        try:
            for stage in space.netfilter.hooks.get("ip forward", ()):
                stage(passage)
        except Filtered as filtered:
            end, _ = filtered_end(space.ns, filtered, walking)
            return Dropped(end.code, end.text)
        return None
