"""What EC2 would refuse of the instances that are nodes; paths start at the cluster."""

from collections.abc import Iterable
from ipaddress import IPv4Address

from testbed.description.problem import Problem, Problems, quoted, unknown
from testbed.errors import DescriptionError
from testbed.kubernetes.model import Node
from testbed.vpc.addresses import reserved
from testbed.vpc.instance_types import limits
from testbed.vpc.model import Subnet, Vpc


def problems(nodes: Iterable[Node], vpc: Vpc) -> Problems:
    """Everything wrong with where the nodes are, their types and addresses."""
    subnets = {subnet.name: subnet for subnet in vpc.subnets}
    taken: dict[tuple[str, IPv4Address], str] = {}
    for node in nodes:
        for problem in (*_node(node, subnets), *_twice(node, taken)):
            yield problem.under("nodes", node.name)


def _node(node: Node, subnets: dict[str, Subnet]) -> Problems:
    if node.subnet not in subnets:
        yield Problem(("subnet",), unknown("subnet", node.subnet, subnets))
    elif node.private_ip:
        yield from _private_ip(node.private_ip, subnets[node.subnet])
    try:
        limits(node.instance_type)
    except DescriptionError as error:
        yield Problem(("instanceType",), error.message)


def _private_ip(address: IPv4Address, subnet: Subnet) -> Problems:
    """EC2's own words: they end up in many a search box."""
    if address not in subnet.cidr:
        message = (
            f"Address {address} does not fall within the subnet's address range:"
            f" {quoted(subnet.name)} is {subnet.cidr}"
        )
        yield Problem(("privateIp",), message, "InvalidParameterValue")
    elif address in reserved(subnet.cidr):
        message = (
            f"Address {address} is in subnet's reserved address range: of {subnet.cidr}"
            " the first four and the last"
        )
        yield Problem(("privateIp",), message, "InvalidParameterValue")


def _twice(node: Node, taken: dict[tuple[str, IPv4Address], str]) -> Problems:
    """An address that an earlier node asked for; `taken` collects them."""
    if node.private_ip:
        owner = taken.setdefault((node.subnet, node.private_ip), node.name)
        if owner != node.name:
            message = f"Address {node.private_ip} is in use: {quoted(owner)} has it"
            yield Problem(("privateIp",), message, "InvalidIPAddress.InUse")
