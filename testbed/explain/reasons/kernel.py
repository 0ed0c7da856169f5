"""How packets end in any Linux: by its routes, links, bridges, rules and sockets."""

from testbed.explain.reasons.reason import Reason

KERNEL = (
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
        "find out who else sends with that address, or which route leads {ns}'s own packets back"
        " to it; accept_local would let it in",
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
        "X_CONNTRACK_FULL",
        "{ns} remembers {most} connections, as many as it may, and drops what would be one more",
        "end connections, let them be forgotten sooner (nf_conntrack_tcp_timeout_established), or"
        " raise net.netfilter.nf_conntrack_max: `testbed exec {ns} -- conntrack -C` counts them",
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
)
