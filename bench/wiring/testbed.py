"""The testbed's way: facts, applied."""

from collections.abc import Callable

from bench.wiring.pods import facts
from testbed.kernel.machine.garbage import collect_rarely
from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.read.observe import observe
from testbed.kernel.write.apply import apply
from testbed.net.drift.diff import compare


def build(count: int) -> Callable[[], None]:
    """Wire them, as all processes of a lab do; what takes them down."""
    collect_rarely()
    store = LocalStore()
    apply(store, frozenset(facts(count)))
    return lambda: store.drop(store.names())


def check(count: int) -> None:
    """Raise AssertionError unless the kernel has just what was wanted."""
    with LocalStore() as store:
        wanted = frozenset(facts(count))
        apply(store, wanted)
        drift = compare(wanted, observe(store).state)
    if drift:
        raise AssertionError(f"the testbed did not build what was measured: {drift}")
