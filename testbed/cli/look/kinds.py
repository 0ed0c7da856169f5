"""The words that stand for a kind of object, kubectl's and AWS's."""

import click

ALIASES = {
    "pod": "pods", "po": "pods", "node": "nodes", "no": "nodes", "eni": "enis", "vpc": "vpcs",
    "subnet": "subnets", "rule": "rules", "route": "routes", "neighbour": "neighbours",
    "neigh": "neighbours", "chain": "chains", "link": "links", "address": "addresses",
    "endpointslice": "endpointslices",
    "service": "services", "svc": "services", "endpoint": "endpoints", "ep": "endpoints",
    "route-tables": "routetables", "routetable": "routetables", "instance": "instances",
    "peering": "peerings", "transitgateway": "transitgateways", "tgw": "transitgateways",
    "connection": "connections", "host": "hosts", "securitygroup": "securitygroups",
    "security-groups": "securitygroups", "sg": "securitygroups", "networkacl": "networkacls",
    "network-acls": "networkacls", "acl": "networkacls", "conntrack": "conntrack",
}  # fmt: skip


def kinds(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """What TAB offers for a kind: the words that stand for one, whole."""
    return sorted(kind for kind in {*ALIASES.values()} if kind.startswith(begun))


def kind_and_name(kind: str, name: str) -> tuple[str, str]:
    """The kind's own word, and the name; kubectl's `pod/web-0` is both."""
    first, slash, rest = kind.partition("/")
    kind, name = (first, rest) if slash and not name else (kind, name)
    return ALIASES.get(kind, kind), name
