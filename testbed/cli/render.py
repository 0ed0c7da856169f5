"""render: what a component would write, without any lab."""

import gc
import json
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from testbed.cli.options import option, overrides, parsed
from testbed.cli.output import note
from testbed.errors import UsageError

# testbed.kubernetes.kube_proxy's Era and DetectLocalMode, which take pydantic to import
ERAS = ("1.14", "current")
MODES = ("ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix")
LOOPBACK = IPv4Address("127.0.0.1")

if TYPE_CHECKING:
    from testbed.eks.model import ConnmarkBackend, EksCluster, Profile
    from testbed.eks.render import Wired
    from testbed.kubernetes.kube_proxy import Era


def node_port_addresses(text: str) -> "tuple[IPv4Network | Literal['primary'], ...]":
    """`10.0.0.0/8,127.0.0.0/8`, or `primary`.  Raises ValueError."""
    return tuple("primary" if one == "primary" else IPv4Network(one) for one in text.split(","))


@click.group("render")
def render_() -> None:
    """Print what a component would write, without any lab."""


@render_.command("vpc-cni", short_help="What aws-node writes on a node, and for a pod.")
@click.option(
    "-f", "--file", type=click.Path(path_type=Path), help="The topology; else an example."
)
@option("--node", default="", help="The node; without it, the first.")
@option("--pod", default="", help="The pod of that node; without it, the first.")
@option("--profile", type=click.Choice(["slides", "current"]), help="The CNI's era.")
@option("--connmark-backend", type=click.Choice(["iptables", "nftables"]), help="Who marks.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
def vpc_cni_(
    *,
    file: Path | None,
    node: str,
    pod: str,
    profile: "Profile | None",
    connmark_backend: "ConnmarkBackend | None",
    output: str,
    settings: tuple[str, ...],
) -> None:
    """A node's rules, tables, sysctls and iptables text, and a pod's links, addresses and routes.

    KEY=VALUE are variables of the container aws-node, such as AWS_VPC_K8S_CNI_EXTERNALSNAT=true;
    they take the place of the topology's.  Without a topology it is the workshop's node: eth0 with
    Pod1's address, eth1 with Pod2's.
    """
    from testbed.eks.render import render, to_json, to_text
    from testbed.eks.rollout import with_settings

    changed = partial(
        with_settings,
        profile=profile,
        overrides=overrides(settings),
        connmark_backend=connmark_backend,
    )
    rendered = render(_of_topology(file, node, changed) if file else _example(node, changed), pod)
    if output == "json":
        click.echo(json.dumps(to_json(rendered), indent=2))
    else:
        click.echo(to_text(rendered), nl=False)


def _example(node: str, changed: "Callable[[EksCluster], EksCluster]") -> "Wired":
    from dataclasses import replace

    from testbed.eks.render import example

    wired = example()
    if node not in ("", wired.node.name):
        raise UsageError(f"the example has one node, {wired.node.name}; give a topology with -f")
    return replace(wired, cluster=changed(wired.cluster))


def _of_topology(file: Path, node: str, changed: "Callable[[EksCluster], EksCluster]") -> "Wired":
    """The node of the topology whose cluster runs with other settings."""
    from dataclasses import replace

    from testbed.allocations import allocate
    from testbed.description.problem import unknown
    from testbed.eks.model import EksCluster
    from testbed.eks.render import Wired
    from testbed.lab.checks import check
    from testbed.load import load

    lab = load(file)
    owners = {
        one.name: cluster
        for cluster in lab.clusters
        if isinstance(cluster, EksCluster)
        for one in cluster.nodes
    }
    name = node or next(iter(owners), "")
    if name not in owners:
        raise UsageError(f"{file}: {unknown('EKS node', name, owners) if name else 'no EKS node'}")
    cluster = changed(owners[name])
    others = [cluster if one.name == cluster.name else one for one in lab.clusters]
    lab = check(replace(lab, clusters=tuple(others)))
    allocations = allocate(lab)
    return Wired(
        cluster=cluster,
        vpc=next(vpc for vpc in lab.vpcs if vpc.name == cluster.vpc),
        node=next(one for one in cluster.nodes if one.name == name),
        enis=tuple(eni for eni in allocations.enis if eni.instance == name),
        pods=tuple(one for one in allocations.pods if one.node == name),
    )


@render_.command("kube-proxy", short_help="The rules for the Services of manifests.")
@click.option(
    "-f", "--file", "files", multiple=True, required=True, help="Manifests; `-` is standard input."
)
@click.option("--era", type=click.Choice(ERAS), default="current", help="Whose rules.")
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
@click.option("--masquerade-all", is_flag=True, help="kube-proxy's own flag; so are all below.")
@click.option("--detect-local-mode", type=click.Choice(MODES), default=MODES[0])
@click.option("--pod-interface", default="", help="--pod-bridge-interface, -name-prefix.")
@click.option(
    "--pod-cidr", metavar="CIDR", callback=parsed(IPv4Network), help="The node's, for NodeCIDR."
)
@click.option(
    "--nodeport-addresses",
    metavar="CIDR,…",
    callback=parsed(node_port_addresses),
    help="Node ports are on these of --node-ip and 127.0.0.1 alone; `primary`: on --node-ip.",
)
@click.option("--iptables-localhost-nodeports/--no-iptables-localhost-nodeports", default=True)
@click.option(
    "--iptables-masquerade-bit", "masquerade_bit", type=click.IntRange(0, 31), default=14
)
@click.option("--conntrack-tcp-be-liberal", is_flag=True)
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
    comes with kubelet's chains, which the rules jump to.
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
