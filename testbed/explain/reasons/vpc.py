"""How packets end in a VPC, at its gateways and load balancers, and in networks around it."""

from testbed.explain.reasons.reason import Reason

VPC = (
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
    Reason(
        "X_PUBLIC_ACCESS_CIDRS",
        "the public endpoint of the cluster takes no calls from {source}",
        "add it to publicAccessCidrs, or call from inside the VPC with endpointPrivateAccess",
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
)
