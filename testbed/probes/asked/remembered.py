"""The connections that a lab's kernels remember from one port.  Needs CAP_NET_ADMIN over it."""

from testbed.explain.journey import Header
from testbed.explain.netfilter.remembered import Remembered, entries
from testbed.kernel.namespaces.store import NamespaceStore
from testbed.kernel.programs.run import run
from testbed.net.facts import Chain, NftChain, State
from testbed.probes.sockets import inside

TIMEOUT_S = 10.0


def remembered(store: NamespaceStore, header: Header, plan: State) -> tuple[Remembered, ...]:
    """Those that a packet from this port may meet, wherever rules are planned.

    Others track no connections, and a large lab's pods are many.
    Raises MissingFeature: the program conntrack is not installed.
    """
    found: list[Remembered] = []
    argv = ["conntrack", "-L", "-p", header.protocol, "--orig-port-src", str(header.source_port)]
    tracking = {fact.ns for fact in plan if isinstance(fact, Chain | NftChain)}
    for name in sorted(store.names() & tracking):
        with inside(store, name):
            found += entries(name, run(argv, timeout_s=TIMEOUT_S).stdout)
    return tuple(found)
