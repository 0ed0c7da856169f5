"""What gateways and the VPC's router refuse, read from their sets and chains.  Pure."""

from ipaddress import IPv4Network

from testbed.explain.crossing import Dropped, Packet
from testbed.net.facts import IpAddress, NftChain, NftElement, NftSet, State
from testbed.vpc.gateways import INSIDE


class Gates:
    """Gateways by namespace with what they let pass; made once for many questions."""

    def __init__(self, plan: State) -> None:
        self._sets: dict[tuple[str, str], set[str]] = {}
        for fact in plan:
            match fact:
                case NftSet():
                    self._sets.setdefault((fact.ns, fact.name), set())
                case NftElement():
                    self._sets.setdefault((fact.ns, fact.set), set()).add(fact.element)
        self._deaf = {
            fact.ns
            for fact in plan
            if isinstance(fact, NftChain)
            and "hook input" in fact.hook
            and "policy drop" in fact.hook
            and not fact.rules
        }

    def refusal(self, packet: Packet, *, local: bool) -> Dropped | None:
        """Why a packet that came in goes no further here; None where it does."""
        if not packet.iif:
            return None
        if (packet.ns, "egress") in self._sets:
            return self._internet_gateway(packet)
        if f'"{packet.iif}"' in self._sets.get((packet.ns, "links"), ()):
            return self._peering(packet)
        if (packet.ns, "sites") in self._sets:
            return self._private_gateway(packet)
        if (packet.ns, "vpc") in self._sets and (local or not self._in(packet, "vpc")):
            text = f"{packet.ns} lets in only replies"
            return Dropped("X_NAT_UNSOLICITED", text)
        if local and packet.ns in self._deaf:
            text = f"{packet.destination} is the VPC router's own, and it answers nothing"
            return Dropped("X_ROUTER_SILENT", text)
        return None

    def _internet_gateway(self, packet: Packet) -> Dropped | None:
        source, destination = str(packet.source), str(packet.destination)
        if packet.iif != INSIDE:
            # the destination is the private address already, where there is one
            if destination in self._sets[packet.ns, "egress"]:
                return None
            text = f"no private address is paired with {destination}"
            return Dropped("IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS", text)
        if source not in self._sets[packet.ns, "egress"]:
            text = f"{source} has no public address, and the internet gateway takes no other"
            return Dropped("IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS", text)
        if _holds(self._sets[packet.ns, "private"], packet.destination):
            text = f"{destination} is private: it does not cross an internet gateway"
            return Dropped("IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS", text)
        return None

    def _peering(self, packet: Packet) -> Dropped | None:
        if str(packet.destination) in self._sets[packet.ns, "services"]:
            text = f"{packet.destination} is the DNS server of that VPC alone"
            return Dropped("X_EDGE_TO_EDGE", text)
        own = self._sets[packet.ns, "own"]
        if _holds(own, packet.destination) or (packet.source and _holds(own, packet.source)):
            return None
        if _holds(self._sets[packet.ns, "others"], packet.destination):
            text = f"{packet.destination} is of another VPC: peering is not transitive"
            return Dropped("PCX_REQUIRES_ADDRESS_IN_VPC_CIDR", text)
        text = f"{packet.destination} is beyond the VPC, whose gateways a peer cannot use"
        return Dropped("X_EDGE_TO_EDGE", text)

    def _private_gateway(self, packet: Packet) -> Dropped | None:
        assigned = self._sets[packet.ns, "assigned"]
        if packet.iif == INSIDE:
            if str(packet.source) in assigned:
                return None
            text = f"{packet.source} is no address of an ENI"
            return Dropped("VGW_PRIVATE_IP_ASSOCIATION_FOR_EGRESS", text)
        if str(packet.destination) in assigned:
            return None
        if _holds(self._sets[packet.ns, "vpc"], packet.destination):
            text = f"{packet.destination} is no address of an ENI"
            return Dropped("VGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS", text)
        if _holds(self._sets[packet.ns, "sites"], packet.destination):
            return None
        text = f"{packet.destination} is beyond the VPC, whose gateways a site cannot use"
        return Dropped("X_EDGE_TO_EDGE", text)

    def _in(self, packet: Packet, name: str) -> bool:
        return packet.source is not None and _holds(self._sets[packet.ns, name], packet.source)


def _holds(networks: set[str], address: IpAddress) -> bool:
    return any(address in IPv4Network(network) for network in networks)
