"""render kube-proxy: the rules for the Services of manifests."""

import gc
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any, Literal

import click

from testbed.cli.options import option, parsed
from testbed.cli.output import note
from testbed.errors import UsageError

if TYPE_CHECKING:
    from testbed.kubernetes.kube_proxy import Era

# testbed.kubernetes.kube_proxy's Era and DetectLocalMode, which take pydantic to import


ERAS = ("1.14", "current")


PROXY_MODES = ("iptables", "nftables")
MODES = ("ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix")


LOOPBACK = IPv4Address("127.0.0.1")


def node_port_addresses(text: str) -> "tuple[IPv4Network | Literal['primary'], ...]":
    """`10.0.0.0/8,127.0.0.0/8`, or `primary`.  Raises ValueError."""
    return tuple("primary" if one == "primary" else IPv4Network(one) for one in text.split(","))


@click.command("kube-proxy", short_help="The rules for the Services of manifests.")
@click.option(
    "-f", "--file", "files", multiple=True, required=True, help="Manifests; `-` is standard input."
)
@click.option(
    "--era",
    type=click.Choice(ERAS),
    default="current",
    help="Kubernetes' version: its rules of then, or today's.",
)
@click.option(
    "--proxy-mode",
    "mode",
    type=click.Choice(PROXY_MODES),
    default="iptables",
    help="What its rules are written for.",
)
@click.option("--node", default="", help="Whose endpoints are local; without it, nobody's are.")
@click.option(
    "--node-ip",
    metavar="ADDRESS",
    callback=parsed(IPv4Address),
    help="The node's address, which may be a load balancer's client.",
)
@click.option(
    "--cluster-cidr",
    metavar="CIDR",
    callback=parsed(IPv4Network),
    help="The pods' range: kube-proxy's own flag.",
)
@option("--zone", default="", help="The node's, whose topology hints it follows.")
@click.option("--masquerade-all", is_flag=True, help="kube-proxy's own flag.")
@click.option(
    "--detect-local-mode", type=click.Choice(MODES), default=MODES[0], help="How it knows pods."
)
@click.option(
    "--pod-interface",
    default="",
    help="The bridge of BridgeInterface, or the prefix of InterfaceNamePrefix.",
)
@click.option(
    "--pod-cidr",
    metavar="CIDR",
    callback=parsed(IPv4Network),
    help="The node's range, for NodeCIDR.",
)
@click.option(
    "--nodeport-addresses",
    metavar="CIDR,…",
    callback=parsed(node_port_addresses),
    help="Node ports are on these of --node-ip and 127.0.0.1 alone; `primary`: on --node-ip.",
)
@click.option(
    "--iptables-localhost-nodeports/--no-iptables-localhost-nodeports",
    default=True,
    help="Node ports on 127.0.0.1.",
)
@click.option(
    "--iptables-masquerade-bit",
    "masquerade_bit",
    type=click.IntRange(0, 31),
    default=14,
    help="The mark's bit.",
)
@click.option(
    "--conntrack-tcp-be-liberal", is_flag=True, help="Without the rule that drops invalid packets."
)
def kube_proxy_(
    *,
    files: tuple[str, ...],
    era: "Era",
    node: str,
    node_ip: IPv4Address | None,
    pod_cidr: IPv4Network | None,
    zone: str,
    nodeport_addresses: "tuple[IPv4Network | Literal['primary'], ...] | None",
    iptables_localhost_nodeports: bool,
    **flags: Any,
) -> None:
    """What `iptables-restore` takes to make an empty node as kube-proxy leaves it.

    From Services, Endpoints or EndpointSlices, or pods whose status has an address.  Era 1.14
    comes with kubelet's chains, which the rules jump to.  With --proxy-mode nftables it is what
    `nft -f` takes.
    """
    from testbed.files import texts
    from testbed.kubernetes.kube_proxy import KubeProxy, problems
    from testbed.kubernetes.manifests import parse
    from testbed.services.kube_proxy.from_manifests import ports_of, without_address
    from testbed.services.kube_proxy.rules import ProxyNode
    from testbed.services.kube_proxy.text import node_text

    proxy = KubeProxy(
        era=era,
        node_port_addresses=nodeport_addresses or (),
        localhost_node_ports=iptables_localhost_nodeports,
        **flags,
    )
    for problem in problems(proxy):
        raise UsageError(f"{problem.key}: {problem.message}")
    objects = parse(texts(files))
    gc.freeze()  # they stay: looking through them for garbage would take longer than all below
    ports = ports_of(objects, era)
    if lost := without_address(objects):
        note(f"no endpoints, for their status has no podIP: {' '.join(lost)}")
    addresses = (*([node_ip] if node_ip else []), LOOPBACK)
    here = ProxyNode(name=node, ip=node_ip, addresses=addresses, pod_cidr=pod_cidr, zone=zone)
    click.echo(node_text(ports, proxy, here), nl=False)
