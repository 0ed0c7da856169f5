"""What AWS, or who asks AWS for load balancers, would refuse; paths start at the cluster."""

import re
from collections.abc import Iterable, Mapping

from testbed.description.problem import Path, Problem, Problems, quoted, unknown
from testbed.kubernetes.kube_proxy import Era
from testbed.kubernetes.load_balancers.annotations import (
    CONTROLLER_CLASS,
    PREFIX,
    load_balancer,
    mistakes,
)
from testbed.kubernetes.model import Service
from testbed.services.load_balancers import Balancer, chosen_subnets, is_made
from testbed.services.load_balancers.health import health_check
from testbed.vpc.addresses import reserved
from testbed.vpc.model import Vpc

# metav1.validation: ValidateLabelName, a prefix before the slash
CLASS_NAME = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?")


def problems(services: Iterable[Service], era: Era | None, *, pods_in_vpc: bool) -> Problems:
    """What is wrong with the load balancers of a cluster.

    era: of its Kubernetes.  pods_in_vpc: whether its pods have addresses of the VPC.
    """
    for service in services:
        wrong = [*mistakes(service)]
        found = [Problem(("annotations", name), message) for name, message in wrong]
        if not wrong:
            found += _timers(service, era or "current")
        if not wrong and service.type == "LoadBalancer":
            found += _class(service, era)
        if not wrong and is_made(service):
            found += [
                *_protocols(service, era),
                *_affinity(service),
                *_by_node_ports(service, era),
            ]
            found += [*_pods(service, pods_in_vpc), *_later(service, era)]
        for problem in found:
            yield problem.under("services", service.qualified)


def subnet_problems(services: Iterable[Service], vpc: Vpc) -> Problems:
    """Subnets that were named and are not there, or are two in one zone."""
    for service in filter(is_made, services):
        named = load_balancer(service).subnets
        path = ("services", service.qualified, "annotations", f"{PREFIX}subnets")
        zones: dict[str, str] = {}
        for name in named:
            found = chosen_subnets(vpc, (name,))
            if not found:
                known = [subnet.name for subnet in vpc.subnets]
                yield Problem(path, unknown("subnet", name, known), "InvalidSubnetID.NotFound")
                continue
            first = zones.setdefault(found[0].availability_zone, name)
            if first != name:
                zone = found[0].availability_zone
                message = (
                    f"{quoted(first)} and {quoted(name)} are both in {zone}: a load balancer"
                    " has one subnet in a zone"
                )
                yield Problem(path, message, "InvalidConfigurationRequest")


def elastic_problems(balancers: Iterable[Balancer]) -> Problems:
    """Elastic IP addresses: one for each subnet."""
    subnets: dict[str, list[Balancer]] = {}
    for one in balancers:
        if load_balancer(one.service).eip_allocations:
            subnets.setdefault(one.service.qualified, []).append(one)
    for name, own in subnets.items():
        given = len(load_balancer(own[0].service).eip_allocations)
        if given != len(own):
            path = ("services", name, "annotations", f"{PREFIX}eip-allocations")
            message = f"number of EIP allocations ({given}) and subnets ({len(own)}) must match"
            yield Problem(path, message)


def address_problems(balancers: Iterable[Balancer]) -> Problems:
    """Addresses that were asked for and are not one in each of the subnets."""
    subnets: dict[str, list[Balancer]] = {}
    for one in balancers:
        if load_balancer(one.service).private_addresses:
            subnets.setdefault(one.service.qualified, []).append(one)
    for name, own in subnets.items():
        path = ("services", name, "annotations", f"{PREFIX}private-ipv4-addresses")
        wanted = load_balancer(own[0].service).private_addresses
        for one in own:
            inside = [address for address in wanted if address in one.subnet.cidr]
            if len(inside) != 1:
                message = f"expected one address in {one.subnet.cidr} of subnet"
                yield Problem(path, f"{message} {quoted(one.subnet.name)}, found {len(inside)}")
            elif inside[0] in reserved(one.subnet.cidr):
                message = f"Address {inside[0]} is in subnet's reserved address range"
                yield Problem(path, message, "InvalidParameterValue")
        if len(wanted) > len(own):
            message = f"expected an address for each of {len(own)} subnets, found {len(wanted)}"
            yield Problem(path, message)


def _class(service: Service, era: Era | None) -> Problems:
    """Kubernetes 1.21, feature ServiceLoadBalancerClass; a name as labels have them."""
    name = service.load_balancer_class
    if name and era == "1.14":
        message = "Kubernetes 1.14 knows no field of this name; the annotation is"
        yield Problem(("loadBalancerClass",), f"{message} {PREFIX}type")
    elif name and not CLASS_NAME.fullmatch(name):
        message = f"expected a name such as {CONTROLLER_CLASS}, found {quoted(name)}"
        yield Problem(("loadBalancerClass",), message)


def _timers(service: Service, era: Era) -> Problems:
    """A target group's timeout may be as long as its interval, a Classic one's may not."""
    check, network = health_check(service, era), load_balancer(service).is_network
    if check.timeout_s > check.interval_s or (check.timeout_s == check.interval_s and not network):
        limit = "not be longer" if network else "be smaller"
        message = f"a health check's timeout must {limit} than its interval"
        yield Problem(("healthCheck", "timeout"), message)


def _protocols(service: Service, era: Era | None) -> Problems:
    """UDP is for Network Load Balancers, which then cannot hide the client.

    The cloud provider of 1.14 knows TCP only, whatever the type.
    """
    wanted = load_balancer(service)
    knows_udp = wanted.by_controller or (wanted.is_network and era != "1.14")
    for i, port in enumerate(service.ports):
        path: Path = ("ports", i, "protocol")
        if port.protocol == "UDP" and wanted.is_network and wanted.proxy_protocol:
            yield Problem(path, "the testbed has the PROXY protocol for TCP only")
        if port.protocol != "TCP" and not knows_udp:
            yield Problem(path, ONLY_TCP[era or "current"].format(port.protocol))
        elif _is_mixed(service, i):
            yield Problem(path, "mixed protocol is not supported for LoadBalancer")
        elif _is_second(service, i):
            message = "A listener already exists on this port for this load balancer; "
            message += f'{PREFIX}enable-tcp-udp-listener: "true" makes one of both protocols'
            yield Problem(("ports", i, "port"), message, "DuplicateListener")
        if port.protocol == "UDP" and wanted.preserve_client_ip is False:
            message = "preserve_client_ip.enabled cannot be false for a target group of UDP"
            yield Problem(path, message)


# EnsureLoadBalancer's words, then and now
ONLY_TCP: Mapping[Era, str] = {
    "1.14": "Only TCP LoadBalancer is supported for AWS ELB",
    "current": "Protocol {} not supported by LoadBalancer",
}


def _is_mixed(service: Service, place: int) -> bool:
    """Whether a port brings a second protocol, which Kubernetes' cloud provider does not take."""
    wanted, ports = load_balancer(service), service.ports
    return not wanted.by_controller and ports[place].protocol != ports[0].protocol


def _is_second(service: Service, place: int) -> bool:
    """Whether a port before it has its number: a load balancer has one listener on each."""
    before = [port.port for port in service.ports[:place]]
    wanted = load_balancer(service)
    return service.ports[place].port in before and not wanted.tcp_udp_listener


def _by_node_ports(service: Service, era: Era | None) -> Problems:
    """What the API server or who makes the load balancer says about ports of nodes."""
    if service.load_balancer_ip:
        yield Problem(("loadBalancerIP",), "LoadBalancerIP cannot be specified for AWS ELB")
    if service.allocate_load_balancer_node_ports:
        return
    path = ("allocateLoadBalancerNodePorts",)
    if era == "1.14":
        yield Problem(path, "came with Kubernetes 1.20: it is not in era 1.14")
    elif load_balancer(service).target_type != "ip" and not all(
        port.node_port for port in service.ports
    ):
        message = f"targets are nodes, on their node ports; {PREFIX}nlb-target-type: ip has pods"
        yield Problem(path, message)


# What Kubernetes' own cloud provider learnt after 1.14; AWS' controller knows all of it
LATER = {"ssl-cert": "1.15", "subnets": "1.18", "target-node-labels": "1.19"}


def _later(service: Service, era: Era | None) -> Problems:
    wanted = load_balancer(service)
    if era != "1.14" or wanted.by_controller:
        return
    for short, version in LATER.items():
        name = f"{PREFIX}{short}"
        if name in service.annotations and not (short == "ssl-cert" and not wanted.is_network):
            message = f"came with Kubernetes {version}: it is not in era 1.14"
            yield Problem(("annotations", name), message)


def _affinity(service: Service) -> Problems:
    """EnsureLoadBalancer's refusal; AWS' own controller does not ask."""
    by_controller = load_balancer(service).by_controller
    if service.session_affinity != "None" and not by_controller:
        message = f"unsupported load balancer affinity: {service.session_affinity}"
        yield Problem(("sessionAffinity",), message)


def _pods(service: Service, pods_in_vpc: bool) -> Problems:
    """AWS Load Balancer Controller, "Network Load Balancer", IP mode."""
    wanted = load_balancer(service)
    if wanted.target_type == "ip" and not pods_in_vpc:
        message = "pods can be targets only where they have addresses of the VPC"
        by_type = wanted.nlb_target_type is None
        yield Problem(
            ("annotations", f"{PREFIX}{'type' if by_type else 'nlb-target-type'}"), message
        )
