"""ipam: what ipamD decides, without any lab."""

import json
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.cli.files import FILE
from testbed.cli.options import option, output_option, overrides, parsed
from testbed.cli.output import emit

if TYPE_CHECKING:
    from testbed.eks.model import EksCluster, Profile
    from testbed.kubernetes.model import Node

STORY = ("10s=1", "20s=10", "30s=19", "40s=28", "100s=0")  # of an m5.large
SUBNET = IPv4Network("10.0.0.0/24")


@click.group("ipam")
def ipam_() -> None:
    """Ask ipamD, without any lab."""


@ipam_.command("decide", short_help="What its next pass asks of EC2.")
@click.option(
    "-f",
    "--file",
    type=FILE,
    required=True,
    metavar="STATE.json",
    help="The data store and the settings; - is standard input.",
)
def decide_(file: Path) -> None:
    """Print as JSON what ipamD's next pass asks of EC2, and which address the next pod gets.

    docs/ipam.md describes what goes in and what comes out.
    """
    from testbed.eks.ipamd.asked.answer import answer
    from testbed.eks.ipamd.asked.read import parse
    from testbed.files import texts

    [(name, text)] = texts([str(file)]).items()
    click.echo(json.dumps(answer(parse(text, name)), indent=2))


@ipam_.command("timeline", short_help="How a node's pool grows and shrinks with its pods.")
@option("-t", "--instance-type", default="m5.large", help="EC2 instance type of the node.")
@option("--profile", type=click.Choice(["slides", "current"]), default="current", help="Whose.")
@option(
    "--subnet",
    metavar="CIDR",
    default=str(SUBNET),
    callback=parsed(IPv4Network),
    help="The node's subnet, which it has for itself.",
)
@output_option
@click.argument("words", nargs=-1, metavar="[SECONDS=PODS | KEY=VALUE]...")
def timeline_(
    *,
    instance_type: str,
    profile: "Profile",
    subnet: IPv4Network,
    output: str,
    words: tuple[str, ...],
) -> None:
    """How a node's pool of addresses grows and shrinks while pods come and go.

    60s=12: from 60 seconds after the start of aws-node twelve pods want to run; 65s=restart: it
    starts again.  Without any, it is the story of an m5.large in docs/ipam.md.  KEY=VALUE are
    variables of the container aws-node.
    """
    from testbed.eks.ipamd.asked.answer import event_as_json
    from testbed.eks.ipamd.runs.timeline import moment, timeline
    from testbed.eks.ipamd.runs.words import row

    times = [word for word in words if word[:1].isdigit()]
    cluster, node = _alone(instance_type, profile, [word for word in words if word not in times])
    told = timeline(cluster, node, subnet, map(moment, times or STORY))
    emit([row(event) if output == "table" else event_as_json(event) for event in told], output)


def _alone(
    instance_type: str, profile: "Profile", settings: list[str]
) -> "tuple[EksCluster, Node]":
    """A cluster of one node, its ENIConfig in the node's own subnet."""
    from testbed.eks.model import EksCluster, EniConfig
    from testbed.eks.rollout import with_settings
    from testbed.kubernetes.model import Node
    from testbed.vpc.instance_types import limits

    limits(instance_type)
    node = Node("node", "subnet", instance_type)
    alone = EksCluster("", "", (node,), eni_configs=(EniConfig("default", node.subnet),))
    return with_settings(alone, profile, overrides(settings)), node
