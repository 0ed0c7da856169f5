"""The files of a running lab that programs in it, or its users, read as a real machine's."""

from testbed.allocations import Allocations
from testbed.daemon.changes import checkpoints, host_local
from testbed.daemon.process.home import Home
from testbed.kernel.programs import resolv
from testbed.lab import Lab
from testbed.plan import resolvers


def write(home: Home, lab: Lab, allocations: Allocations) -> None:
    """Bring all of them up to date.  Raises OSError on a full file system."""
    resolv.write(home.resolv, resolvers(lab, allocations))
    host_local.write(home.host_local, lab, allocations)
    checkpoints.write(home.aws_node, lab, allocations)
