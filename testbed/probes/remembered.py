"""The connections that a lab's kernels remember from one port.  Needs CAP_NET_ADMIN over it."""

from testbed.explain.journey import Header
from testbed.explain.netfilter.remembered import Remembered, entries
from testbed.kernel.namespaces import NamespaceStore
from testbed.kernel.programs import run
from testbed.probes.sockets import inside

TIMEOUT_S = 10.0


def remembered(store: NamespaceStore, header: Header) -> tuple[Remembered, ...]:
    """Those that a packet from this port to these ports may meet, in all namespaces.

    Raises MissingFeature: the program conntrack is not installed.
    """
    found: list[Remembered] = []
    argv = ["conntrack", "-L", "-p", header.protocol, "--orig-port-src", str(header.source_port)]
    for name in store.names():
        with inside(store, name):
            found += entries(name, run(argv, timeout_s=TIMEOUT_S).stdout)
    return tuple(found)
