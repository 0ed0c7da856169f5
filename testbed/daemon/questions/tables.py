"""What kernels count of the connections that they track.  Needs CAP_NET_ADMIN over the lab."""

from collections.abc import Iterable, Iterator

from testbed.daemon.process.protocol import Json
from testbed.kernel.namespaces.store import NamespaceStore
from testbed.kernel.netlink import conntrack
from testbed.net.facts import Chain, NftChain, State
from testbed.probes.sockets import inside


def tracking(plan: State) -> list[str]:
    """The namespaces that have rules: others track no connections, and pods are many."""
    return sorted({fact.ns for fact in plan if isinstance(fact, Chain | NftChain)})


def rows(store: NamespaceStore, names: Iterable[str]) -> Iterator[Json]:
    """Of each namespace what `conntrack -C` and `conntrack -S` say.  Raises KernelError."""
    for name in names:
        with inside(store, name):
            table, counted = conntrack.table(), conntrack.counters()
        yield {
            "name": name,
            "entries": table.entries,
            "max": table.most,
            "drop": counted.drop,
            "insertFailed": counted.insert_failed,
            "clashResolve": counted.clash_resolve,
            "invalid": counted.invalid,
        }
