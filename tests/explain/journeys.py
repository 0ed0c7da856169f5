"""Round trips made by hand, as prediction and observation give them for `topologies/eks.yaml`."""

from dataclasses import replace
from ipaddress import IPv4Address

from testbed.explain.answer import Answer
from testbed.explain.journey import End, FabricStep, Header, Journey, RoundTrip
from tests.explain.steps import (
    BY_MARK,
    BY_NAT_GATEWAY,
    CLIENT,
    DEFAULT,
    MARKED,
    NAT_A,
    NODE_1,
    OUTBOUND,
    OUTSIDE,
    PLACES,
    PUBLIC,
    RESTORE,
    SNAT,
    STAYS,
    VETH_0,
    VETH_3,
    VETH_CLIENT,
    WEB_0,
    WEB_3,
    answer_to,
    arrived,
    associated,
    by_eni,
    local,
    request,
    source_check,
    to_pod,
    visit,
)


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
    return RoundTrip(there=_to_client(syn), back=_from_client(answer_to(syn)))


def _to_client(syn: Header) -> Journey:
    sent = replace(syn, ttl=63)
    return Journey(
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


def _from_client(reply: Header) -> Journey:
    later = replace(reply, ttl=63)
    return Journey(
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


SYN = request(WEB_3, OUTSIDE)  # to the internet, and what the node, nat-a and igw-main make of it
BY_NODE = replace(SYN, source=NODE_1, source_port=47751, ttl=63)
BY_NAT = replace(BY_NODE, source=NAT_A, source_port=1024, ttl=62)
PUBLIC_SYN = replace(BY_NAT, source=PUBLIC)


def to_internet() -> RoundTrip:
    """web-3 → the outside, translated three times."""
    return RoundTrip(there=_out(), back=_from_internet(answer_to(PUBLIC_SYN)))


def _out() -> Journey:
    return Journey(
        visits=(
            visit("web-3", "", "eth0", SYN, DEFAULT),
            visit(
                "node-1", VETH_3, "eth0", SYN, RESTORE, OUTBOUND, MARKED, BY_MARK, SNAT,
                left=BY_NODE, mark=0x80,
            ),
            visit(
                "vpc-main", "node-1-e0", "nat-a-e0", BY_NODE,
                source_check(NODE_1, "eni-261deb07a834ae698 (eth0 of node-1)"),
                associated("rtb private-a", "0.0.0.0/0 → nat-a"),
            ),
            visit("nat-a", "eth0", "eth0", BY_NODE, BY_NAT_GATEWAY, left=BY_NAT),
            visit(
                "vpc-main", "nat-a-e0", "igw", BY_NAT,
                source_check(NAT_A, "eni-7a2e3b760ccd39c4a (nat-a)"),
                associated("rtb public", "0.0.0.0/0 → internet-gateway"),
            ),
            visit(
                "igw-main", "vpc", "internet", BY_NAT,
                FabricStep(
                    name="internet gateway", passed=True,
                    text=f"{NAT_A} of nat-a is paired with {PUBLIC}",
                ),
                left=PUBLIC_SYN,
            ),
            visit("internet", "igw-main", "", PUBLIC_SYN, local(OUTSIDE, "lo"), ends=True),
        ),
        end=arrived("internet", f"{OUTSIDE} saw 192.0.2.4:1024"),
    )  # fmt: skip


def _from_internet(reply: Header) -> Journey:
    to_nat, to_node = replace(reply, destination=NAT_A), replace(
        reply, destination=NODE_1, destination_port=47751, ttl=63
    )  # fmt: skip
    to_pod_ = replace(to_node, destination=WEB_3, destination_port=40112, ttl=62)
    return Journey(
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
