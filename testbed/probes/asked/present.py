"""The kernels of a lab as they are now, to predict packets in.  Needs CAP_SYS_ADMIN."""

from collections.abc import Iterable

from testbed.explain.evidence.reasoned import with_reasons
from testbed.explain.netfilter.conntrack import Crowd
from testbed.explain.walk.world import World
from testbed.kernel.namespaces.store import NamespaceStore
from testbed.kernel.netlink import conntrack
from testbed.kernel.read.learnt import learnt
from testbed.kernel.read.observe import observe
from testbed.net.drift.diff import implied
from testbed.net.facts import Fact, State, Sysctl, Veth
from testbed.probes.sockets import inside


class Present(World):
    """Namespaces as their kernels are, each read when a packet first comes there.

    What is read is kept: a Present is for one answer.  The plan gives the reasons.
    """

    def __init__(self, store: NamespaceStore, plan: State) -> None:
        super().__init__(plan | implied(plan))
        self._store = store
        self._names = frozenset(store.names())
        self._crowds: dict[str, Crowd] = {}

    def __contains__(self, ns: str) -> bool:
        return ns in self._names

    def facts(self, ns: str) -> Iterable[Fact]:
        """All facts of a namespace, and what it has learnt; none of one that is gone."""
        if ns not in self:
            return ()
        planned = frozenset(super().facts(ns))
        sysctls = [fact for fact in planned if isinstance(fact, Sysctl)]
        near = sorted({fact.peer_ns for fact in planned if isinstance(fact, Veth)})
        found = observe(self._store, [ns], sysctls, near).state
        return with_reasons(found, planned) | learnt(self._store, [ns])

    def crowd(self, ns: str) -> Crowd:
        """How full a namespace's table of connections is."""
        if ns not in self._crowds:
            with inside(self._store, ns):
                table = conntrack.table()
                lost = conntrack.unsure().none_near if table.is_full else 0.0
            self._crowds[ns] = Crowd(table.most, lost)
        return self._crowds[ns]
