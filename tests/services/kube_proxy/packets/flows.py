"""Packets through one node's rules, as prediction has them: what kube-proxy's own tests ask.

Addresses are those of kubernetes, pkg/proxy/iptables/proxier_test.go: the node `me` has
192.168.0.2 and two more, a pod of its own 10.0.0.2; whatever else there is, endpoints too, is
behind eth0.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from testbed.explain.journey import Header, Journey, NetfilterStep, Protocol
from testbed.explain.walk.predict import predict
from testbed.explain.walk.world import World
from testbed.kubernetes.kube_proxy import KubeProxy
from testbed.kubernetes.manifests import parse
from testbed.net.facts import (
    Address,
    Chain,
    Fact,
    Netns,
    NftChain,
    NftElement,
    NftSet,
    Route,
    Rule,
    Sysctl,
    Veth,
)
from testbed.net.netfilter.iptables import parse_save
from testbed.net.netfilter.nft import NftFact
from testbed.services.kube_proxy.from_manifests import ports_of
from testbed.services.kube_proxy.node import node_facts
from testbed.services.kube_proxy.ports import ProxiedPort
from testbed.services.kube_proxy.rules import ProxyNode
from testbed.services.kube_proxy.text import node_text

POD, NODE, SECOND, OTHER = "10.0.0.2", "192.168.0.2", "192.168.1.2", "192.168.99.11"
CLIENT, BLOCKED = "203.0.113.2", "203.0.113.130"
LOCALHOST = "127.0.0.1"
MODES = ("iptables", "nftables")
MASQUERADE = re.compile("-j MASQUERADE|^masquerade")
PROTOCOLS: dict[str, Protocol] = {"icmp": "icmp", "tcp": "tcp", "udp": "udp"}

ME = ProxyNode(
    name="me",
    ip=IPv4Address(NODE),
    addresses=tuple(map(IPv4Address, (LOCALHOST, NODE, SECOND, OTHER))),
    zone="zone-a",
)


@dataclass(frozen=True)
class Flows:
    """A node whose kube-proxy has written its rules."""

    world: World
    chains: Mapping[tuple[str, str], list[str]]
    owners: Mapping[str, str]

    def chain(self, table: str, name: str) -> list[str]:
        """The rules of a chain, as text."""
        return self.chains[table, name]

    def __call__(self, source: str, to: str, protocol: Protocol = "tcp") -> str:
        """Where a packet may get to: `10.180.0.1:80, ~10.180.2.1:80`.

        to: `172.30.0.41:80`.  A tilde stands before whoever sees an address of the node, not the
        caller's.  DROP, REJECT where rules end it; `-` where none is about it.
        """
        address, _, port = to.partition(":")
        header = Header(
            protocol=protocol,
            source=IPv4Address(source),
            destination=IPv4Address(address),
            source_port=40000,
            destination_port=int(port),
        )
        trips = predict(self.world, self.owners[source], header)
        return ", ".join(sorted({_end(trip.there, to) for trip in trips}))

    def table(self, expected: str) -> str:
        """What really becomes of the packets in each line of a table, as it would have to be."""
        found = []
        for line in filter(None, expected.splitlines()):
            source, to, *protocol = line.partition("->")[0].split()
            asked = PROTOCOLS.get(protocol[0] if protocol else "tcp")
            assert asked, line
            found.append(f"{line.partition('->')[0]}-> {self(source, to, asked)}")
        return "\n" + "\n".join(found) + "\n"


def flows(manifests: str, *, vips: Iterable[str] = (), **flags: Any) -> Flows:
    """The node for manifests and kube-proxy's flags; of iptables it is the text that decides.

    vips: load balancers' addresses that the node has too, as some clouds make it.
    """
    given = {"era": "current", "cluster_cidr": IPv4Network("10.0.0.0/8"), **flags}
    proxy = KubeProxy(**given)
    assert proxy.era
    ports = ports_of(parse({"app.yaml": manifests}), proxy.era)
    written = [*node_facts([ME], ports, proxy)]
    settings = (one for one in written if isinstance(one, Sysctl))
    places = [*_places(ports, vips)]
    if proxy.mode == "nftables":
        table = [one for one in written if isinstance(one, NftFact)]
        chains: list[Chain | NftChain] = [*_check_ways(table)]
        world = World.planned(frozenset([*places, *settings, *table]))
    else:
        saved = parse_save(ME.name, node_text(ports, proxy, ME))
        chains = [*saved]
        world = World.planned(frozenset([*places, *settings, *saved]))
        _check_jumps(saved, proxy.era)
    texts = {(one.table, one.name): [str(rule) for rule in one.rules] for one in chains}
    owners = {str(one.ip.ip): one.ns for one in places if isinstance(one, Address)}
    return Flows(world, texts, owners | {LOCALHOST: ME.name})


def _check_jumps(chains: Iterable[Chain], era: str) -> None:
    """checkIPTablesRuleJumps: no rule leads to what is not there, no Service's chain is idle.

    1.14 declares its chains before it looks at endpoints, and leaves them empty without any.
    """
    there = {(one.table, one.name): one for one in chains}
    jumps = {
        (one.table, rule.text.rpartition("-j ")[2]) for one in there.values() for rule in one.rules
    }
    own = re.compile(r"KUBE-(SVC|SVL|EXT|FW|SEP|XLB)-[A-Z2-7]{16}")
    assert {jump for jump in jumps if jump[1].startswith("KUBE-")} <= there.keys()
    of_services = {key for key in there if own.fullmatch(key[1])}
    assert era == "1.14" or of_services <= jumps
    assert era == "1.14" or all(there[key].rules for key in of_services)


def _check_ways(table: Iterable[NftFact]) -> list[NftChain]:
    """Its chains: all that are led to are there.  So are the sets."""
    texts = [one.value for one in table if isinstance(one, NftElement)]
    chains = [one for one in table if isinstance(one, NftChain)]
    texts += [rule.text for chain in chains for rule in chain.rules]
    led_to = {name for text in texts for name in re.findall(r"(?:goto|jump) ([^\s,]+)", text)}
    asked = {name for text in texts for name in re.findall(r"@(\S+)", text)}
    assert led_to <= {chain.name for chain in chains}
    assert {chain.name for chain in chains if "/" in chain.name} <= led_to, "a Service's is idle"
    assert {one.name for one in table if isinstance(one, NftSet)} == asked
    assert all(chain.rules for chain in chains)
    return chains


def _places(ports: Iterable[ProxiedPort], vips: Iterable[str]) -> Iterator[Fact]:
    """Three namespaces: the node between its pod and all others."""
    for number, (ns, device) in enumerate((("pod", "veth0"), ("outside", "eth0"))):
        yield Netns(ns=ns)
        mac = f"02:00:00:00:0{number}:01"
        yield Veth(ns=ns, name="up", peer_ns="me", peer=device, mac=mac, mtu=1500)
        mac = f"02:00:00:00:0{number}:02"
        yield Veth(ns="me", name=device, peer_ns=ns, peer="up", mac=mac, mtu=1500)
        yield _default(ns, "up", NODE)
    yield Netns(ns="me")
    yield Sysctl(ns="me", name="net.ipv4.ip_forward", value="1")
    yield Address(ns="pod", dev="up", ip=IPv4Interface(POD))
    yield Route(ns="me", dst=IPv4Network(POD), dev="veth0")
    yield _default("me", "eth0", CLIENT)
    for own in (NODE, SECOND, OTHER, *vips):
        yield Address(ns="me", dev="eth0", ip=IPv4Interface(own))
    endpoints = {str(backend.ip) for port in ports for backend in port.backends}
    for address in sorted({CLIENT, BLOCKED, "10.180.0.2", *endpoints}):
        yield Address(ns="outside", dev="up", ip=IPv4Interface(address))
    for ns in ("me", "pod", "outside"):
        for priority, table in ((0, 255), (32766, 254), (32767, 253)):
            yield Rule(ns=ns, priority=priority, table=table)


def _default(ns: str, dev: str, via: str) -> Route:
    everywhere = IPv4Network("0.0.0.0/0")
    return Route(ns=ns, dst=everywhere, dev=dev, via=IPv4Address(via), onlink=True)


def _rules(journey: Journey) -> Iterator[NetfilterStep]:
    for visit in journey.visits:
        yield from (step for step in visit.steps if isinstance(step, NetfilterStep))


def _end(journey: Journey, asked: str) -> str:
    verdicts = [step.verdict.partition(" ")[0].upper() for step in _rules(journey)]
    for verdict in ("DROP", "REJECT"):
        if verdict in verdicts:
            return verdict
    last = journey.visits[-1].arrived
    got = f"{last.destination}:{last.destination_port}"
    masqueraded = any(MASQUERADE.search(step.rule) for step in _rules(journey))
    return "-" if got == asked else f"{'~' * masqueraded}{got}"


def service(name: str, cluster_ip: str, *ports: dict[str, Any], **spec: Any) -> str:
    """The manifest of Service `ns/NAME`.

    spec: by Kubernetes' own keys, and `ingress`: the load balancer's addresses, `annotations`.
    """
    ingress, annotations = spec.pop("ingress", ()), spec.pop("annotations", {})
    return _document(
        kind="Service",
        apiVersion="v1",
        metadata={"name": name, "namespace": "ns", "annotations": annotations},
        spec={"clusterIP": cluster_ip, "ports": ports, **spec},
        status={"loadBalancer": {"ingress": ingress}},
    )


def endpoints(of: str, endpoints: Iterable[dict[str, Any]], *ports: dict[str, Any]) -> str:
    """The manifest of an EndpointSlice of Service `ns/OF`."""
    return _document(
        kind="EndpointSlice",
        apiVersion="discovery.k8s.io/v1",
        metadata={
            "name": f"{of}-1",
            "namespace": "ns",
            "labels": {"kubernetes.io/service-name": of},
        },
        addressType="IPv4",
        endpoints=list(endpoints),
        ports=ports,
    )


def at(address: str, node: str = "", zones: str = "", **conditions: bool) -> dict[str, Any]:
    """An endpoint of a slice; without a node it is nowhere that anybody knows.

    zones: its hints, `zone-a zone-b`.
    """
    known: dict[str, Any] = {"nodeName": node} if node else {}
    if zones:
        known["hints"] = {"forZones": [{"name": zone} for zone in zones.split()]}
    return {"addresses": [address], "conditions": conditions, **known}


def _document(**fields: Any) -> str:
    return f"\n---\n{json.dumps(fields)}\n"


# Service `ns/svc` in the kinds that many cases have, and its two endpoints
P80 = {"name": "p80", "port": 80}
NP = P80 | {"nodePort": 3001}
BALANCED = {"type": "LoadBalancer", "ingress": [{"ip": "1.2.3.4"}]}
BOTH = "~10.180.0.1:80, ~10.180.2.1:80"
TWO = endpoints("svc", [at("10.180.0.1"), at("10.180.2.1", "me")], P80)
