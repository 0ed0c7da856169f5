"""Round trips made by hand, as prediction and observation give them for `topologies/eks.yaml`."""

from dataclasses import replace
from ipaddress import IPv4Address

from testbed.explain.answer import Answer, Place
from testbed.explain.journey import (
    End,
    FabricStep,
    Header,
    Journey,
    NetfilterStep,
    RoundTrip,
    RoutingStep,
    Step,
    Visit,
)

WEB_0, WEB_3, CLIENT = IPv4Address("10.0.1.6"), IPv4Address("10.0.1.13"), IPv4Address("10.0.2.6")
NODE_1, NODE_2 = IPv4Address("10.0.1.4"), IPv4Address("10.0.2.4")
NAT_A, PUBLIC = IPv4Address("10.0.101.4"), IPv4Address("192.0.2.4")
OUTSIDE = IPv4Address("203.0.113.10")
CLUSTER_IP = IPv4Address("172.20.0.12")
VETH_0, VETH_3, VETH_CLIENT = "eni0d7763386da", "eni4448cbddedf", "eni71a3fe2d0bc"

PLACES = (
    Place(ns="web-0", kind="pod", inside="node-1", addresses=(WEB_0,), devices=("eth0",)),
    Place(ns="web-3", kind="pod", inside="node-1", addresses=(WEB_3,), devices=("eth0",)),
    Place(ns="client", kind="pod", inside="node-2", addresses=(CLIENT,), devices=("eth0",)),
    Place(
        ns="node-1",
        kind="node",
        inside="vpc-main",
        detail="t3.small · us-west-2a",
        addresses=(NODE_1,),
        devices=("eth0", "eth1", "eth2"),
    ),
    Place(
        ns="node-2",
        kind="node",
        inside="vpc-main",
        detail="t3.small · us-west-2b",
        addresses=(NODE_2,),
        devices=("eth0", "eth1"),
    ),
    Place(ns="vpc-main", kind="vpc", detail="10.0.0.0/16"),
    Place(
        ns="nat-a",
        kind="nat-gateway",
        inside="vpc-main",
        detail="public-a",
        addresses=(NAT_A,),
        devices=("eth0",),
    ),
    Place(ns="igw-main", kind="internet-gateway", inside="vpc-main"),
    Place(ns="internet", kind="internet", addresses=(OUTSIDE,)),
)

DEFAULT = RoutingStep(
    rule="32766: from all lookup main",
    table="main",
    route="default via 169.254.1.1 dev eth0",
    dev="eth0",
    next_hop="169.254.1.1",
    neighbour="lladdr 02:78:3c:1c:26:7f PERMANENT",
    why="the pod knows one gateway, which exists nowhere (aws-cni)",
)
RESTORE = NetfilterStep(
    family="ip",
    table="mangle",
    chain="PREROUTING",
    rule='-i eni+ -m comment --comment "AWS, primary ENI" '
    "-j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80",
    verdict="continue",
    why="the pod's packets of a marked connection get the mark: rule 1024 then picks eth0",
)
OUTBOUND = NetfilterStep(
    family="ip",
    table="nat",
    chain="PREROUTING",
    rule='-i eni+ -m comment --comment "AWS, outbound connections" -j AWS-CONNMARK-CHAIN-0',
    verdict="jump AWS-CONNMARK-CHAIN-0",
    why="a pod opens a connection: will it be translated?",
)
STAYS = NetfilterStep(
    family="ip",
    table="nat",
    chain="AWS-CONNMARK-CHAIN-0",
    rule='-d 10.0.0.0/16 -m comment --comment "AWS CONNMARK CHAIN" -j RETURN',
    verdict="return",
    why="10.0.0.0/16 sees pods' addresses",
)
MARKED = NetfilterStep(
    family="ip",
    table="nat",
    chain="AWS-CONNMARK-CHAIN-0",
    rule='-m comment --comment "AWS, CONNMARK" -j CONNMARK --set-xmark 0x80/0x80',
    verdict="continue",
    why="to be translated to eth0's address, so it must leave by eth0",
)
SNAT = NetfilterStep(
    family="ip",
    table="nat",
    chain="AWS-SNAT-CHAIN-0",
    rule='! -o vlan+ -m comment --comment "AWS, SNAT" -m addrtype ! --dst-type LOCAL '
    "-j SNAT --to-source 10.0.1.4 --random-fully",
    verdict="snat to 10.0.1.4:47751",
    why="out of the VPC with the node's address: the internet gateway knows no pod's",
)


def to_pod(address: IPv4Address, veth: str, pod: str) -> RoutingStep:
    """The node's rule 512."""
    return RoutingStep(
        rule=f"512: from all to {address} lookup main",
        table="main",
        route=f"{address} dev {veth} scope link",
        dev=veth,
        next_hop=str(address),
        neighbour="lladdr 02:c9:d3:e4:81:11 REACHABLE",
        why=f"to {pod}: by main, where its veth is (amazon-vpc-cni-k8s: 512)",
    )


def by_eni(address: IPv4Address, number: int) -> RoutingStep:
    """The node's rule 1536."""
    return RoutingStep(
        rule=f"1536: from {address} lookup {number}",
        table=str(number),
        route=f"default via 10.0.1.1 dev eth{number - 1} table {number}",
        dev=f"eth{number - 1}",
        next_hop="10.0.1.1",
        neighbour="lladdr 0a:ff:ff:ff:ff:01 REACHABLE",
        why="from a pod: out of the ENI that owns its address (amazon-vpc-cni-k8s: 1536)",
    )


def local(address: IPv4Address, dev: str) -> RoutingStep:
    """Arrived."""
    return RoutingStep(
        rule="0: from all lookup local", table="local", route=f"local {address} dev {dev}", dev=dev
    )


def source_check(address: IPv4Address, eni: str, passed: bool = True) -> FabricStep:
    """The check on an ENI."""
    verb = "is" if passed else "is not"
    return FabricStep(
        name="source check", text=f"{address} {verb} an address of {eni}", passed=passed
    )


def associated(table: str, route: str) -> FabricStep:
    """The route table of a subnet."""
    return FabricStep(
        name="route table", text=f"{table}: {route}", passed=True, why=f"{table}: {route}"
    )


def visit(
    ns: str,
    dev_in: str,
    dev_out: str,
    arrived: Header,
    *steps: Step,
    left: Header | None = None,
    ends: bool = False,
    hops: int = 0,
    mark: int = 0,
) -> Visit:
    """A visit whose packet goes on as it is, `hops` less of TTL, unless it ends there."""
    goes_on = left or replace(arrived, ttl=arrived.ttl - hops)
    return Visit(
        ns=ns,
        dev_in=dev_in,
        dev_out=dev_out,
        arrived=arrived,
        left=None if ends else goes_on,
        mark_out=mark,
        steps=steps,
    )


def request(source: IPv4Address, destination: IPv4Address, port: int = 80) -> Header:
    """A SYN to a port."""
    return Header(
        protocol="tcp",
        source=source,
        destination=destination,
        source_port=40112,
        destination_port=port,
        kind="SYN",
    )


def answer_to(header: Header, **changes: object) -> Header:
    """A SYN,ACK."""
    back = replace(
        header,
        source=header.destination,
        destination=header.source,
        source_port=header.destination_port,
        destination_port=header.source_port,
        ttl=64,
        kind="SYN,ACK",
    )
    return replace(back, **changes)  # type: ignore[arg-type]


def arrived(ns: str, text: str = "a server listens on port 80") -> End:
    """Delivered."""
    return End(delivered=True, ns=ns, text=text)


def same_node() -> RoundTrip:
    """web-0 → web-3, both on node-1."""
    syn = request(WEB_0, WEB_3)
    sent = replace(syn, ttl=63)
    there = Journey(
        visits=(
            visit("web-0", "", "eth0", syn, DEFAULT),
            visit(
                "node-1", VETH_0, VETH_3, syn, RESTORE, OUTBOUND, STAYS,
                to_pod(WEB_3, VETH_3, "web-3"), hops=1,
            ),
            visit("web-3", "eth0", "", sent, local(WEB_3, "eth0"), ends=True),
        ),
        end=arrived("web-3"),
    )  # fmt: skip
    reply = answer_to(syn)
    back = Journey(
        visits=(
            visit("web-3", "", "eth0", reply, DEFAULT),
            visit(
                "node-1", VETH_3, VETH_0, reply, RESTORE, to_pod(WEB_0, VETH_0, "web-0"), hops=1
            ),
            visit("web-0", "eth0", "", replace(reply, ttl=63), ends=True),
        ),
        end=arrived("web-0", "the connection is open"),
    )
    return RoundTrip(there=there, back=back)


def other_node() -> RoundTrip:
    """web-3, whose address is eth1's, → client on node-2."""
    syn = request(WEB_3, CLIENT)
    sent = replace(syn, ttl=63)
    there = Journey(
        visits=(
            visit("web-3", "", "eth0", syn, DEFAULT),
            visit(
                "node-1", VETH_3, "eth1", syn, RESTORE, OUTBOUND, STAYS, by_eni(WEB_3, 2), hops=1
            ),
            visit(
                "vpc-main", "node-1-e1", "node-2-e0", sent,
                source_check(WEB_3, "eni-f03e0b53e8560ef68 (eth1 of node-1)"),
                associated("rtb private-a", "10.0.0.0/16 is local"),
                FabricStep(
                    name="mapping", passed=True,
                    text=f"{CLIENT} is assigned to eni-f8d2e80239710235c (eth0 of node-2)",
                ),
            ),
            visit(
                "node-2", "eth0", VETH_CLIENT, sent, to_pod(CLIENT, VETH_CLIENT, "client"), hops=1
            ),
            visit(
                "client", "eth0", "", replace(sent, ttl=62), local(CLIENT, "eth0"), ends=True
            ),
        ),
        end=arrived("client"),
    )  # fmt: skip
    reply = answer_to(syn)
    later = replace(reply, ttl=63)
    back = Journey(
        visits=(
            visit("client", "", "eth0", reply, DEFAULT),
            visit(
                "node-2", VETH_CLIENT, "eth0", reply,
                replace(DEFAULT, route="default via 10.0.2.1 dev eth0"), hops=1,
            ),
            visit("vpc-main", "node-2-e0", "node-1-e1", later, source_check(CLIENT, "eni-f8d2")),
            visit("node-1", "eth1", VETH_3, later, to_pod(WEB_3, VETH_3, "web-3"), hops=1),
            visit("web-3", "eth0", "", replace(reply, ttl=62), ends=True),
        ),
        end=arrived("web-3", "the connection is open"),
    )  # fmt: skip
    return RoundTrip(there=there, back=back)


def to_internet() -> RoundTrip:
    """web-3 → the outside, translated three times."""
    syn = request(WEB_3, OUTSIDE)
    by_node = replace(syn, source=NODE_1, source_port=47751, ttl=63)
    by_nat = replace(by_node, source=NAT_A, source_port=1024, ttl=62)
    public = replace(by_nat, source=PUBLIC)
    main = RoutingStep(
        rule="1024: from all fwmark 0x80/0x80 lookup main",
        table="main",
        route="default via 10.0.1.1 dev eth0",
        dev="eth0",
        next_hop="10.0.1.1",
        neighbour="lladdr 0a:ff:ff:ff:ff:01 REACHABLE",
        why="a marked connection belongs to eth0's address: by main (amazon-vpc-cni-k8s)",
    )
    there = Journey(
        visits=(
            visit("web-3", "", "eth0", syn, DEFAULT),
            visit(
                "node-1", VETH_3, "eth0", syn, RESTORE, OUTBOUND, MARKED, main, SNAT,
                left=by_node, mark=0x80,
            ),
            visit(
                "vpc-main", "node-1-e0", "nat-a-e0", by_node,
                source_check(NODE_1, "eni-261deb07a834ae698 (eth0 of node-1)"),
                associated("rtb private-a", "0.0.0.0/0 → nat-a"),
            ),
            visit(
                "nat-a", "eth0", "eth0", by_node,
                NetfilterStep(
                    family="ip", table="nat-gateway", chain="postrouting",
                    rule="ip saddr @vpc meta l4proto { tcp, udp } snat to 10.0.101.4:1024-65535",
                    verdict="snat to 10.0.101.4:1024", why="NGW_SOURCE_ADDRESS_REASSIGN",
                ),
                left=by_nat,
            ),
            visit(
                "vpc-main", "nat-a-e0", "igw", by_nat,
                source_check(NAT_A, "eni-7a2e3b760ccd39c4a (nat-a)"),
                associated("rtb public", "0.0.0.0/0 → internet-gateway"),
            ),
            visit(
                "igw-main", "vpc", "internet", by_nat,
                FabricStep(
                    name="internet gateway", passed=True,
                    text=f"{NAT_A} of nat-a is paired with {PUBLIC}",
                ),
                left=public,
            ),
            visit("internet", "igw-main", "", public, local(OUTSIDE, "lo"), ends=True),
        ),
        end=arrived("internet", f"{OUTSIDE} saw 192.0.2.4:1024"),
    )  # fmt: skip
    reply = answer_to(public)
    to_nat, to_node = replace(reply, destination=NAT_A), replace(
        reply, destination=NODE_1, destination_port=47751, ttl=63
    )  # fmt: skip
    to_pod_ = replace(to_node, destination=WEB_3, destination_port=40112, ttl=62)
    back = Journey(
        visits=(
            visit("internet", "", "igw-main", reply),
            visit("igw-main", "internet", "vpc", reply, left=to_nat),
            visit("vpc-main", "igw", "nat-a-e0", to_nat),
            visit("nat-a", "eth0", "eth0", to_nat, left=to_node),
            visit("vpc-main", "nat-a-e0", "node-1-e0", to_node),
            visit("node-1", "eth0", VETH_3, to_node, to_pod(WEB_3, VETH_3, "web-3"), left=to_pod_),
            visit("web-3", "eth0", "", to_pod_, ends=True),
        ),
        end=arrived("web-3", "the connection is open"),
    )
    return RoundTrip(there=there, back=back)


def source_checked() -> RoundTrip:
    """web-3 → client with rule 1536 deleted: out of eth0, which does not own the address."""
    good = other_node().there.visits
    syn = request(WEB_3, CLIENT)
    sent = replace(syn, ttl=63)
    by_main = replace(DEFAULT, route="default via 10.0.1.1 dev eth0", next_hop="10.0.1.1", why="")
    there = Journey(
        visits=(
            good[0],
            visit("node-1", VETH_3, "eth0", syn, RESTORE, OUTBOUND, STAYS, by_main, hops=1),
            visit(
                "vpc-main", "node-1-e0", "", sent,
                source_check(WEB_3, "eni-261deb07a834ae698 (eth0 of node-1)", passed=False),
                ends=True,
            ),
        ),
        end=End(
            delivered=False,
            ns="vpc-main",
            text=f"source check: {WEB_3} is no address of the ENI behind node-1's eth0",
            code="ENI_SOURCE_DEST_CHECK_RESTRICTION",
            advice="Send it by the ENI that owns the address: `ip rule add from 10.0.1.13 "
            "lookup 2 priority 1536` on node-1.",
        ),
    )  # fmt: skip
    return RoundTrip(there=there)


def explained(
    round_trip: RoundTrip, *others: RoundTrip, observed: RoundTrip | None = None
) -> Answer:
    """The answer to a question whose prediction is this."""
    first, last = round_trip.there.visits[0], round_trip.there.visits[-1]
    names: dict[object, str] = {
        OUTSIDE: "internet",
        CLIENT: "client",
        WEB_3: "web-3",
        WEB_0: "web-0",
    }
    header = first.arrived
    return Answer(
        lab="eks",
        source=first.ns,
        destination=names.get(header.destination, last.ns),
        header=header,
        predicted=(round_trip, *others),
        observed=observed,
        witnesses=("packet taps", "nft trace") if observed else (),
        places=PLACES,
    )


def node_port() -> RoundTrip:
    """The outside → node-1's node port → web on node-2: translated twice, and answered so."""
    syn = request(OUTSIDE, IPv4Address("192.0.2.9"), 31787)
    to_node = replace(syn, destination=NODE_1)
    to_pod_ = replace(
        to_node, source=NODE_1, source_port=21003, destination=CLIENT, destination_port=80, ttl=63
    )
    forward = replace(DEFAULT, route="default via 10.0.1.1 dev eth0", why="")
    there = Journey(
        visits=(
            visit("internet", "", "igw-main", syn),
            visit("igw-main", "internet", "vpc", syn, left=to_node),
            visit("vpc-main", "igw", "node-1-e0", to_node),
            visit("node-1", "eth0", "eth0", to_node, forward, left=to_pod_, mark=0x4000),
            visit("vpc-main", "node-1-e0", "node-2-e0", to_pod_, source_check(NODE_1, "eni-261")),
            visit("node-2", "eth0", VETH_CLIENT, to_pod_, to_pod(CLIENT, VETH_CLIENT, "client")),
            visit("client", "eth0", "", to_pod_, ends=True),
        ),
        end=arrived("client"),
        probability=0.5,
    )
    reply = answer_to(to_pod_)
    undone = answer_to(to_node)
    public = answer_to(syn)
    back = Journey(
        visits=(
            visit("client", "", "eth0", reply, DEFAULT),
            visit("node-2", VETH_CLIENT, "eth0", reply, forward),
            visit("vpc-main", "node-2-e0", "node-1-e0", reply),
            visit("node-1", "eth0", "eth0", reply, forward, left=undone),
            visit("vpc-main", "node-1-e0", "igw", undone),
            visit("igw-main", "vpc", "internet", undone, left=public),
            visit("internet", "igw-main", "", public, ends=True),
        ),
        end=arrived("internet", "the connection is open"),
    )
    return RoundTrip(there=there, back=back)


def asymmetric() -> RoundTrip:
    """web-3 → client, whose reply comes back by eth0 and dies at node-1's strict rp_filter."""
    trip = other_node()
    assert trip.back is not None
    before = trip.back.visits[:2]
    reply = before[1].left
    assert reply is not None
    back = Journey(
        visits=(
            *before,
            visit("vpc-main", "node-2-e0", "node-1-e0", reply),
            visit("node-1", "eth0", "", reply, ends=True),
        ),
        end=End(
            delivered=False,
            ns="node-1",
            code="X_RP_FILTER",
            text="reverse path filter on eth0: the way back to 10.0.2.6 is table 2 dev eth1",
            advice="set net.ipv4.conf.eth0.rp_filter to 2 (loose) in node-1",
        ),
    )
    return RoundTrip(there=trip.there, back=back)
