"""upgrade: would EKS find the addresses it needs for another version of a cluster?"""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from testbed.cli.files import FILE
from testbed.cli.options import chosen, lab_option, option, output_option
from testbed.cli.output import emit
from testbed.errors import CheckFailed, UsageError

if TYPE_CHECKING:
    from testbed.allocations import Allocations
    from testbed.lab import Lab


@click.command("upgrade")
@lab_option
@option(
    "--dry-run",
    is_flag=True,
    help="Required, for a lab has no version to update: only say what is short.",
)
@output_option
@click.argument("file", required=False, type=FILE)
def upgrade_(lab_name: str | None, dry_run: bool, output: str, file: Path | None) -> None:
    """Which subnets are short of addresses for an update of the Kubernetes version.

    EKS makes new network interfaces in the cluster's subnets before it drops the old ones, and
    needs 6 free addresses in each of them; 16 are advised.  Of FILE, or of a running lab.
    """
    if not dry_run:
        raise UsageError("a lab has no Kubernetes version: say --dry-run")
    source = click.get_current_context().get_parameter_source("lab_name")
    if file and source is ParameterSource.COMMANDLINE:  # TESTBED_LAB is no contradiction
        raise UsageError("of FILE or of a running lab: not both")
    rooms = _rooms(*(_described(file) if file else _running(lab_name)))
    if not rooms:
        raise UsageError("there is no EKS cluster, whose updates need free addresses")
    emit(rooms, output)
    short = [room for room in rooms if room["verdict"] == "too few"]
    if short:
        names = " ".join(f"{room['subnet']} ({room['free']})" for room in short)
        raise CheckFailed(
            f"too few free addresses: {names}; need at least {short[0]['needed']} in each subnet"
            " (InvalidParameterException)"
        )


def _described(file: Path) -> "tuple[Lab, Allocations]":
    from testbed.allocations import allocate
    from testbed.load import load

    lab = load(file)
    return lab, allocate(lab)


def _running(lab_name: str | None) -> "tuple[Lab, Allocations]":
    from testbed.daemon.changes.applied import recorded

    with chosen(lab_name).reading_applied() as text:
        return recorded(text)[:2]


def _rooms(lab: "Lab", allocations: "Allocations") -> list[dict[str, object]]:
    from testbed.eks.model import EksCluster
    from testbed.eks.networking import FREE_ADDRESSES, upgrade_room
    from testbed.vpc.ec2 import Ec2

    ec2 = Ec2(lab.vpcs, lab.internet, allocations.enis)
    vpcs = {vpc.name: vpc for vpc in lab.vpcs}
    return [
        {
            "cluster": room.cluster,
            "subnet": room.subnet,
            "zone": room.zone,
            "free": room.free,
            "needed": FREE_ADDRESSES,
            "verdict": room.verdict,
        }
        for cluster in lab.clusters
        if isinstance(cluster, EksCluster)
        for room in upgrade_room(cluster, vpcs[cluster.vpc], ec2)
    ]
