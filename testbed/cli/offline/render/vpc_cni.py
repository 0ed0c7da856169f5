"""render vpc-cni: what aws-node writes on a node, and for a pod."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.cli.files import FILE
from testbed.cli.options import option, overrides
from testbed.errors import UsageError

if TYPE_CHECKING:
    from testbed.eks.model import ConnmarkBackend, EksCluster, Profile
    from testbed.eks.render import Wired


@click.command("vpc-cni", short_help="What aws-node writes on a node, and for a pod.")
@click.option("-f", "--file", type=FILE, help="The topology; else an example.")
@option("--node", default="", help="The node; without it, the first.")
@option("--pod", default="", help="The pod of that node; without it, the first.")
@option(
    "--profile", type=click.Choice(["slides", "current"]), help="v1.5.7 or v1.23.1 of the CNI."
)
@option(
    "--connmark-backend", type=click.Choice(["iptables", "nftables"]), help="What marks packets."
)
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
