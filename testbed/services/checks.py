"""What Kubernetes would refuse of a cluster's Services; paths start at the cluster.

Words: kubernetes v1.14, pkg/apis/core/validation and pkg/registry/core/service.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network

from testbed.description import duplicates
from testbed.description.problem import Path, Problem, Problems, names, quoted
from testbed.kubernetes import topology_hints, validation
from testbed.kubernetes.endpoint_slices import EndpointSlice
from testbed.kubernetes.load_balancers.clients import SOURCE_RANGES
from testbed.kubernetes.model import Pod, Service
from testbed.kubernetes.placement import ServiceAddress
from testbed.services.allocate import API, NODE_PORT_TYPES, NODE_PORTS, assignable
from testbed.services.endpoints import target_number

# kube-apiserver --service-cluster-ip-range: at most 20 bits, and the tenth address is for DNS
LARGEST, SMALLEST = 12, 28

ONLY_BALANCED = "may only be used when `type` is 'LoadBalancer'"
HEALTH_CHECK = "health check"  # who wants a node port, where it is no port's protocol


def problems(
    services: tuple[Service, ...], cidr: IPv4Network, others: Mapping[str, Iterable[IPv4Network]]
) -> Problems:
    """Everything wrong with the Services of a cluster and the range of their ClusterIPs.

    others: ranges that may not overlap it, by the words for who has them.
    """
    yield from _range(cidr, others)
    yield from service_problems(services)
    yield from hint_problems(services)
    if LARGEST <= cidr.prefixlen <= SMALLEST:
        yield from _cluster_ips(services, cidr)


def service_problems(services: tuple[Service, ...], node_ports: range = NODE_PORTS) -> Problems:
    """What is wrong with Services in whatever cluster they are.

    node_ports: kube-apiserver's --service-node-port-range.
    """
    for twice in duplicates(service.qualified for service in services):
        yield Problem(("services", twice), f"there are two Services {quoted(twice)}")
    for service in services:
        for check in (_name, _ports, _type, _external_name, _policies):
            for problem in check(service):
                yield problem.under("services", service.qualified)
    yield from _node_ports(services, node_ports)


def hint_problems(services: Iterable[Service]) -> Problems:
    """Services whose pods Kubernetes would give topology hints by the nodes' CPUs."""
    for service in services:
        if service.selector and topology_hints.is_automatic(service.annotations):
            path = ("annotations", topology_hints.asked(service.annotations))
            message = "the testbed gives pods no hints by CPUs; trafficDistribution: PreferClose"
            problem = Problem(path, f"{message} is followed, and so are EndpointSlices' hints")
            yield problem.under("services", service.qualified)


def warnings(services: Iterable[Service], pods: Iterable[Pod]) -> Problems:
    """Target ports by a name that no pod has: Kubernetes takes them, and they lead nowhere."""
    pods = tuple(pods)
    for service in services:
        chosen = [pod for pod in pods if service.selects(pod)]
        for i, port in enumerate(service.ports):
            if chosen and not any(target_number(port, pod) for pod in chosen):
                name = quoted(str(port.target))
                message = f"no pod it selects has a {port.protocol} port named {name}"
                yield Problem(("services", service.qualified, "ports", i, "targetPort"), message)


def slice_problems(slices: Iterable[EndpointSlice]) -> Problems:
    """What is wrong with addresses that users wrote: their names become names of the DNS."""
    for one in slices:
        path = ("endpointSlices", one.qualified)
        for i, port in enumerate(one.ports):
            if port.name:
                yield from names((*path, "ports", i, "name"), port.name)
            elif len(one.ports) > 1 and one.kind == "Endpoints":
                yield Problem((*path, "ports", i, "name"), "each of several ports needs a name")
        if not one.addresses and one.kind == "Endpoints":
            yield Problem((*path, "addresses"), "must specify `addresses` or `notReadyAddresses`")
        for i, address in enumerate(one.addresses):
            yield from validation.endpoint_address((*path, "addresses", i), address.ip)
            if address.hostname:
                yield from names((*path, "addresses", i, "hostname"), address.hostname)


def _range(cidr: IPv4Network, others: Mapping[str, Iterable[IPv4Network]]) -> Problems:
    if not LARGEST <= cidr.prefixlen <= SMALLEST:
        message = f"a range for Services is a /{LARGEST} to a /{SMALLEST}; {cidr} is not"
        yield Problem(("serviceCidr",), message)
    for owner, ranges in others.items():
        for other in ranges:
            if cidr.overlaps(other):
                message = f"the range for Services, {cidr}, overlaps {other} of {owner}"
                yield Problem(("serviceCidr",), message)


def _name(service: Service) -> Problems:
    yield from names((), service.name)
    if service.name[:1].isdigit():
        message = f"{quoted(service.name)} cannot be a Service's name; a letter comes first"
        yield Problem((), message)  # RFC 1035, section 2.3.1
    yield from names(("namespace",), service.namespace)
    yield from validation.labels(("labels",), service.labels)
    yield from validation.labels(("selector",), service.selector)


def _ports(service: Service) -> Problems:
    if not service.ports and service.has_cluster_ip:
        yield Problem(("ports",), "a Service has at least one port")
    for i, port in enumerate(service.ports):
        before = service.ports[:i]
        if port.name:
            yield from names(("ports", i, "name"), port.name)
        elif len(service.ports) > 1:
            yield Problem(("ports", i, "name"), "each of several ports needs a name")
        if isinstance(port.target_port, str):
            yield from validation.port_name(("ports", i, "targetPort"), port.target_port)
        if port.name and port.name in [other.name for other in before]:
            message = f"there is a port named {quoted(port.name)} already"
            yield Problem(("ports", i, "name"), message)
        if (port.port, port.protocol) in [(other.port, other.protocol) for other in before]:
            message = f"the Service has {port.protocol} port {port.port} already"
            yield Problem(("ports", i), message)


def _type(service: Service) -> Problems:
    """What only Services of some types may say."""
    if service.headless and service.type not in ("ClusterIP", "ExternalName"):
        message = f"may not be set to 'None' for {service.type} services"
        yield Problem(("clusterIp",), message)
    balanced = {
        "loadBalancerSourceRanges": service.load_balancer_source_ranges,
        "loadBalancerIPs": service.load_balancer_ips,
        "allocateLoadBalancerNodePorts": not service.allocate_load_balancer_node_ports,
        "loadBalancerClass": service.load_balancer_class,
    }
    for key in (key for key, value in balanced.items() if value):
        if service.type != "LoadBalancer":
            yield Problem((key,), ONLY_BALANCED)
    if SOURCE_RANGES in service.annotations and service.type != "LoadBalancer":
        yield Problem(("annotations", SOURCE_RANGES), ONLY_BALANCED)


def _external_name(service: Service) -> Problems:
    """The other name, which only one type has; it becomes a CNAME record's."""
    path = ("externalName",)
    if service.type != "ExternalName":
        if service.external_name:
            yield Problem(path, "may only be used when `type` is 'ExternalName'")
        return
    if service.external_name:
        for label in service.external_name.removesuffix(".").split("."):
            yield from names(path, label)
    else:
        yield Problem(path, "a Service of type ExternalName needs a name")
    if service.cluster_ip is not None:
        yield Problem(("clusterIp",), "may not be set when `type` is 'ExternalName'")


def _policies(service: Service) -> Problems:
    """What only Services with an address outside the cluster may say, and of such addresses."""
    if service.external_traffic_policy == "Local" and not service.externally_accessible:
        message = "may only be set for externally-accessible services"
        yield Problem(("externalTrafficPolicy",), message)
    if service.health_check_node_port and not service.needs_health_check:
        message = (
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        )
        yield Problem(("healthCheckNodePort",), message)
    for i, address in enumerate(service.external_ips):
        if address.is_unspecified or address.is_loopback:
            kind = "unspecified" if address.is_unspecified else "in the loopback range"
            yield Problem(("externalIPs", i), f"may not be {kind}")
        elif address.is_link_local or address.is_multicast:
            kind = "link-local" if address.is_link_local else "multicast"
            yield Problem(("externalIPs", i), f"may not be in the {kind} range")


def _cluster_ips(services: tuple[Service, ...], cidr: IPv4Network) -> Problems:
    taken = {int(cidr[API]): "kubernetes, the API server,"}
    for service in services:
        if not isinstance(service.cluster_ip, IPv4Address):
            continue
        path = ("services", service.qualified, "clusterIp")
        number = int(service.cluster_ip)
        if number in taken:
            message = f"provided IP is already allocated: Service {taken[number]} has it"
            yield Problem(path, message)
        elif number not in assignable(cidr):
            valid = f"The range of valid IPs is {cidr}"
            yield Problem(path, f"provided IP is not in the valid range. {valid}")
        taken.setdefault(number, quoted(service.qualified))


def given_already(services: tuple[Service, ...], given: Iterable[ServiceAddress]) -> Problems:
    """Addresses and ports that Services ask for and others of them have been given before.

    Who is new asks in vain, also where the other one never asked: kube-apiserver's allocators.
    """
    there = {service.qualified: service for service in services}
    owners: dict[object, str] = {}
    for one in given:
        if one.service in there:
            owners |= {one.cluster_ip: one.service} if one.cluster_ip else {}
            if there[one.service].type in NODE_PORT_TYPES:
                numbers = (*one.node_ports, one.health_check_node_port)
                owners |= dict.fromkeys(numbers, one.service)
    for service in services:
        wishes: list[tuple[Path, object, str]] = [
            (key, number, "port") for key, number, _ in _wishes(service)
        ]
        if isinstance(service.cluster_ip, IPv4Address):
            wishes.append((("clusterIp",), service.cluster_ip, "IP"))
        for key, wish, what in wishes:
            owner = owners.get(wish, service.qualified)
            if owner != service.qualified:
                message = f"provided {what} is already allocated: Service {quoted(owner)} has it"
                yield Problem(("services", service.qualified, *key), message)


def _node_ports(services: tuple[Service, ...], valid: range) -> Problems:
    """One number of one Service may stand for TCP and UDP; a health check's for nothing else."""
    taken: dict[int, tuple[str, set[str]]] = {}
    for service in services:
        for key, number, protocol in _wishes(service):
            path = ("services", service.qualified, *key)
            owner, protocols = taken.setdefault(number, (service.qualified, set()))
            both = {protocol, *protocols}
            if service.type not in NODE_PORT_TYPES and protocol != HEALTH_CHECK:
                yield Problem(path, f"may not be used when `type` is '{service.type}'")
            elif number not in valid:
                known = f"The range of valid ports is {valid[0]}-{valid[-1]}"
                yield Problem(path, f"provided port is not in the valid range. {known}")
            elif owner != service.qualified or protocol in protocols or _clash(both):
                message = f"provided port is already allocated: Service {quoted(owner)} has it"
                yield Problem(path, message)
            protocols.add(protocol)


def _wishes(service: Service) -> Iterator[tuple[Path, int, str]]:
    """The node ports a Service asks for: where, which, and for what."""
    for i, port in enumerate(service.ports):
        if port.node_port:
            yield ("ports", i, "nodePort"), port.node_port, port.protocol
    if service.health_check_node_port:
        yield ("healthCheckNodePort",), service.health_check_node_port, HEALTH_CHECK


def _clash(wanted: set[str]) -> bool:
    """Whether those who want one number of a Service can not have it together."""
    return HEALTH_CHECK in wanted and len(wanted) > 1
