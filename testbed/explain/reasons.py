"""Why a packet ends: a table of stable codes, each with its sentence and what to change.

AWS's own codes where one fits (VPC Reachability Analyzer, "Explanation codes"), else ours: `X_…`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from testbed.explain.journey import End
from testbed.explain.packet import Flow, address


@dataclass(frozen=True)
class Reason:
    """A way to end.  sentence, advice: templates; the words in braces are the packet's."""

    code: str
    sentence: str
    advice: str

    @property
    def is_aws(self) -> bool:
        """Whether the code is AWS's own."""
        return not self.code.startswith("X_")


_ALL = (
    # routing
    Reason(
        "NO_ROUTE_TO_DESTINATION",
        "{ns} has no route to {destination}",
        "add a route to {destination}: in a VPC to the route table of the sender's subnet; from"
        " the internet, call a public address",
    ),
    Reason(
        "BAD_STATE_ROUTE",
        "the route to {destination} is a blackhole: {route}",
        "give the route a target that exists, or delete it",
    ),
    Reason(
        "X_BLACKHOLE",
        "{ns} drops it in silence: {route}",
        "delete that route, or add a more specific one",
    ),
    Reason(
        "X_ROUTE_REFUSES",
        "{ns} refuses it: {route}",
        "delete that route, or add a more specific one",
    ),
    Reason(
        "X_NO_SOURCE",
        "{ns} has no address it could send from to {destination}",
        "give {ns} an address on the device of the route",
    ),
    Reason(
        "X_FORWARDING_OFF",
        "{ns} does not forward: {destination} is not its own, and forwarding is off on {dev}",
        "set net.ipv4.ip_forward to 1 in {ns}",
    ),
    Reason(
        "X_RP_FILTER",
        "reverse path filter on {dev}: the way back to {source} is {back}",
        "route {source} back by {dev}, or set net.ipv4.conf.{dev}.rp_filter to 2 (loose) in {ns}",
    ),
    Reason(
        "X_MARTIAN_SOURCE",
        "{source} cannot come in by {dev}: {why}",
        "find out who else sends with that address; accept_local would let it in",
    ),
    Reason(
        "X_MARTIAN_DESTINATION",
        "{destination} cannot be the destination of a packet that comes in by {dev}",
        "send it to an address of {ns}; route_localnet would let 127.0.0.0/8 in",
    ),
    Reason(
        "X_TTL_EXCEEDED",
        "its TTL is used up in {ns}",
        "send it with a larger TTL, or look for a loop",
    ),
    Reason(
        "X_IMDS_HOP_LIMIT",
        "the token comes with a TTL that ends in {ns}, which would have to forward it to"
        " {destination}",
        "set `httpPutResponseHopLimit` of the node's `metadataOptions` to 2",
    ),
    Reason(
        "X_LOOP",
        "it goes round and round: {visits} visits, the last in {ns}",
        "look for two routes that point at each other",
    ),
    # links
    Reason(
        "X_MTU_EXCEEDED",
        "{ns} sends at most {mtu} bytes by {dev}, and these {size} may not be fragmented",
        "send no more than {mtu} bytes (`AWS_VPC_ENI_MTU`, `POD_MTU`), and let ICMP's"
        " fragmentation-needed through to the sender",
    ),
    Reason(
        "X_MTU_MISMATCH",
        "{dev} of {where} takes at most {mtu} bytes, and drops these {size} without a word",
        "give both ends of a link, and all ports of a bridge, one MTU",
    ),
    Reason(
        "X_LINK_DOWN",
        "{dev} of {ns} has no working link",
        "set both ends of the link up",
    ),
    Reason(
        "X_EMPTY_BRIDGE",
        "{ns} looks for {destination} behind its bridge {dev}, and nothing is attached to that",
        "give {dev} a range that no other network has, or delete it",
    ),
    Reason(
        "X_NO_NEIGHBOUR",
        "nobody answers for {next_hop} on {dev} of {ns}",
        "give {next_hop} to somebody on that link, or correct the route",
    ),
    Reason(
        "X_WRONG_MAC",
        "the frame is for {mac}, which {dev} of {ns} is not: nobody takes it",
        "correct the neighbour entry of {sender}",
    ),
    Reason(
        "X_HAIRPIN",
        "the bridge does not send a frame out of the port it came in by, {dev}",
        "turn hairpin mode of that port on",
    ),
    Reason(
        "X_DEDUP",
        "{ns} takes it for a second copy: a promiscuous bridge routed it with the source {source},"
        " and kubenet drops that: {rule}",
        "run kubelet with --hairpin-mode=hairpin-veth (`hairpinMode` of the cluster)",
    ),
    Reason(
        "X_DUPLICATE",
        "{ns} gets it twice: the promiscuous bridge of {by} hands it on, and {by} routes its own"
        " copy of it to the same place",
        "bring kubenet's ebtables rules of {by} back, chain KUBE-DEDUP, or run kubelet with"
        " --hairpin-mode=hairpin-veth (`hairpinMode` of the cluster)",
    ),
    Reason(
        "X_NO_PORT",
        "no port of bridge {dev} leads to {mac}",
        "add a forwarding entry, or turn learning and flooding on",
    ),
    # netfilter and sockets
    Reason(
        "X_FIREWALL",
        "{ns} drops it: {rule}",
        "delete that rule, or accept the packet before it",
    ),
    Reason(
        "X_REJECTED",
        "{ns} refuses it: {rule}",
        "delete that rule, or accept the packet before it",
    ),
    Reason(
        "X_NO_ENDPOINTS",
        "the Service has no endpoint: {rule}",
        "run a pod that the Service selects, or correct its selector",
    ),
    Reason(
        "X_NO_LOCAL_ENDPOINTS",
        "the Service's traffic policy is Local and {ns} has no endpoint of it: {rule}",
        "call a node that has one, or set the policy to Cluster",
    ),
    Reason(
        "X_SOURCE_RANGES",
        "the Service's load balancer does not take {source}: {rule}",
        "add the client to loadBalancerSourceRanges",
    ),
    Reason(
        "X_MARKED_TO_DROP",
        "kube-proxy marked it in {ns}: its Service's policy is Local and no endpoint is there, or"
        " its load balancer does not take the client",
        "call a node that has an endpoint, or set the policy to Cluster",
    ),
    Reason(
        "X_INVALID",
        "{ns} knows no connection that it could be of, and drops that: {rule}",
        "bring both directions of its connection through {ns}; copies that a promiscuous bridge"
        " makes have none; for segments out of the window: nf_conntrack_tcp_be_liberal",
    ),
    Reason(
        "X_CLOSED_PORT",
        "nobody in {ns} listens on {protocol} port {port}",
        "start a server there, or use another port",
    ),
    Reason(
        "X_STALE_CONNECTION",
        "{by} remembers a connection from {source} and port {port}, and sends it to {to} as it did"
        " then; a new one would get to {better}",
        "delete the entry, as kube-proxy does for UDP when an endpoint goes: `testbed exec {by} --"
        " conntrack -D -p {protocol} --orig-port-src {port}`",
    ),
    Reason(
        "X_UNEXPECTED_REPLY",
        "{ns} waits for no packet from {source}: it called {called}",
        "bring the reply back to where the destination was translated",
    ),
    # the VPC
    Reason(
        "ENI_SOURCE_DEST_CHECK_RESTRICTION",
        "{check} check: {address} is not an address of the ENI behind {dev}",
        "send it by the ENI that has the address, or turn the source/destination check off",
    ),
    Reason(
        "X_SENT_BACK",
        "{before} has nobody with {destination} and sends it back by {dev}; then the {check}",
        "run the pod whose address that is on {before}, or give its route and rules back",
    ),
    Reason(
        "X_SOURCE_MAC",
        "{mac} is not the MAC of the ENI behind {dev}",
        "send with the ENI's own MAC",
    ),
    Reason(
        "BAD_STATE",
        "{destination} is in a state that takes no packets: {route}",
        "start the instance",
    ),
    Reason(
        "X_NO_MAPPING",
        "no ENI of the VPC has {destination}",
        "send to an address that is assigned; run its pod or instance",
    ),
    Reason(
        "X_NOT_IPV4",
        "a VPC of the testbed carries IPv4 only",
        "send IPv4",
    ),
    Reason(
        "X_LINK_LOCAL_PPS",
        "the ENI of {source} asks Amazon's services for more than 1024 packets a second",
        "ask less: cache names on the node, or spread the pods that ask over more ENIs",
    ),
    Reason(
        "X_ROUTER_SILENT",
        "the VPC's router takes and sends nothing itself: {rule}",
        "send to an address that an ENI has; `routerAnswersPing` lets it answer pings",
    ),
    Reason(
        "ENI_SG_RULES_MISMATCH",
        "{refusal}: {traffic}",
        "add a rule for it to a security group of the ENI",
    ),
    Reason(
        "SG_HAS_NO_RULES",
        "{refusal}, for there is none in that direction: {traffic}",
        "add a rule for it to a security group of the ENI",
    ),
    Reason(
        "SUBNET_ACL_RESTRICTION",
        "{refusal}, denies {traffic}",
        "add a rule with a lower number to the subnet's network ACL",
    ),
    Reason(
        "X_ROUTE_LIMIT",
        "the VPC has no route to {destination}, a pod's: the route table was full when its node"
        " came (RouteLimitExceeded), and the default route led to the internet gateway",
        "raise routesPerRouteTable of the VPC, or have fewer nodes and routes in that table",
    ),
    Reason(
        "X_NO_POD_ROUTE",
        "the VPC has no route to {destination}, which is of the pods' range: it is no node's, or"
        " its node's route is missing",
        "compare the route table with the nodes' ranges (`testbed get routes`, `get nodes`);"
        " `testbed up` writes the routes anew",
    ),
    Reason(
        "X_NO_SERVICE_RULE",
        "no node translated {destination}, which is of the Services' range: no Service has it with"
        " {called}, or a node on the way has not kube-proxy's rules",
        "call an address and a port that a Service has (`testbed get services`); `testbed up`"
        " writes kube-proxy's rules anew",
    ),
    Reason(
        "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS",
        "internet gateway: {source} has no public address",
        "pair it with a public address, translate it to one that is, or go by a NAT gateway",
    ),
    Reason(
        "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS",
        "internet gateway: {destination} is paired with no private address",
        "send to a public address that an ENI has",
    ),
    Reason(
        "IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS",
        "internet gateway: {destination} is private and does not cross it",
        "send to a public address",
    ),
    Reason(
        "IGW_SOURCE_ADDRESS_NOT_IN_RFC1918_INGRESS",
        "internet gateway: {source} is private and does not cross it",
        "send from a public address",
    ),
    Reason(
        "NGW_REQUIRES_SOURCE_IN_VPC",
        "NAT gateway: {source} is not an address of its VPC",
        "send from an address of the VPC",
    ),
    Reason(
        "X_NAT_UNSOLICITED",
        "NAT gateway: {source} opens no connection through it, and answers none",
        "open connections from inside the VPC",
    ),
    Reason(
        "X_FRAGMENT",
        "NAT gateway: it forwards no fragments of {protocol}",
        "send packets that fit: at most 1500 bytes to the internet",
    ),
    # load balancers
    Reason(
        "ELBV2_LISTENERS_MISMATCH",
        "the load balancer has no listener for {traffic}",
        "call a port of the Service",
    ),
    Reason(
        "ELBV2_NO_TARGETS_IN_AZ",
        "the load balancer has no target in this zone, nor cross-zone balancing: {traffic}",
        "call it by its name, which leaves such zones out; or turn cross-zone balancing on",
    ),
    Reason(
        "X_NLB_HAIRPIN",
        "a load balancer that keeps the client's address sent it to the client's own host: {what}",
        "let it use its own address (`preserve_client_ip.enabled=false`), or call another way",
    ),
    # the networks around
    Reason(
        "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR",
        "peering: {source} and {destination} are no addresses of the VPC of {ns}, and peering is"
        " not transitive",
        "peer with the VPC that has {destination}, or connect all of them by a transit gateway",
    ),
    Reason(
        "X_EDGE_TO_EDGE",
        "{step}: {destination} is beyond the VPC, whose gateways and DNS server are its own",
        "give {source} a gateway of its own VPC or site, or use a transit gateway",
    ),
    Reason(
        "VGW_PRIVATE_IP_ASSOCIATION_FOR_EGRESS",
        "virtual private gateway: {source} is an address of no ENI of the VPC",
        "translate it to the instance's address, or give it an ENI's",
    ),
    Reason(
        "VGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS",
        "virtual private gateway: {destination} is an address of no ENI of the VPC",
        "send to an address that an ENI has",
    ),
    Reason(
        "TGW_RTB_NO_ROUTE_TO_TGW_ATTACHMENT",
        "the route table of {ns} that the sender is associated with has no route to {destination}",
        "let the other attachment propagate to that table, or add a static route",
    ),
    Reason(
        "TGW_RTB_BAD_STATE_ROUTE",
        "the route of {ns} to {destination} is a blackhole: {route}",
        "give the route an attachment, or delete it",
    ),
    Reason(
        "TGW_ROUTE_AZ_RESTRICTION",
        "the transit gateway's attachment has no subnet in the zone of {source}",
        "add a subnet of that zone to the attachment",
    ),
    # what is not known
    Reason(
        "X_UNWATCHED",
        "{ns} sent it on to {beyond}, where nobody watched",
        "watch {beyond} too",
    ),
    Reason(
        "X_LOST",
        "{ns} had it last, {where}; nothing explains its loss",
        "observe it again as root: tracefs names the function of the kernel that drops it",
    ),
    Reason(
        "X_HOST",
        "{dev} of {ns} leads out of the lab",
        "ask the machine behind it",
    ),
    Reason(
        "X_UNKNOWN",
        "not predicted: {what}",
        "send a real packet: explain without --predict",
    ),
)

REASONS: Mapping[str, Reason] = MappingProxyType({reason.code: reason for reason in _ALL})


def unexpected(ns: str, source: object, called: str) -> str:
    """What is wrong with an answer that comes from somebody else than who was called."""
    return f"{ns} waits for no packet from {source}: it called {called}"


def twice(end: End, by: str) -> End:
    """The end of a packet that was delivered together with a copy of it.

    by: the namespace whose bridge made that.
    """
    return _noted(end, "X_DUPLICATE", {"ns": end.ns, "by": by})


def remembering(end: End, by: str, flow: Flow, to: str, better: Sequence[str]) -> End:
    """The end of a packet of a connection that is sent where new ones are not sent any more.

    by: the namespace that remembers it.  flow: the connection's.  better: where new ones get to.
    """
    words = {
        "by": by,
        "source": address(flow.source),
        "port": flow.source_port,
        "protocol": flow.protocol,
        "to": to,
        "better": " or ".join(better),
    }
    return _noted(end, "X_STALE_CONNECTION", words)


def _noted(end: End, code: str, words: Mapping[str, object]) -> End:
    """An end for which there is a better reason than its own."""
    reason = REASONS[code]
    return replace(
        end,
        text=f"{end.text}; {reason.sentence.format_map(words)}",
        code=code,
        advice=reason.advice.format_map(words),
    )


def dropped(code: str, ns: str, **words: object) -> End:
    """The end of a packet that was not delivered.  words: the templates' other ones."""
    reason = REASONS[code]
    words = {"ns": ns, **words}
    return End(
        delivered=False,
        ns=ns,
        text=reason.sentence.format_map(words),
        code=code,
        advice=reason.advice.format_map(words),
    )
