"""What a log tells of ipamD's data store."""

from collections.abc import Iterable

from testbed.eks.ipamd.datastore.store import DataStore, PoolEni, Stats
from testbed.eks.ipamd.decisions import Granted
from testbed.eks.ipamd.pool import warm
from testbed.eks.ipamd.settings import Settings
from testbed.eks.logs.events import Pass


def slots(eni: PoolEni) -> Granted:
    """All secondary addresses and prefixes of an ENI, in order, whoever has them."""
    return (*sorted([*eni.free, *eni.assigned]), *(prefix.cidr for prefix in eni.prefixes))


def added(event: Pass, eni: str) -> Granted:
    """What an ENI has after a pass and had not before it."""
    had = _slots(event.before, eni)
    return tuple(one for one in _slots(event.after, eni) if one not in had)


def new_eni(event: Pass) -> PoolEni | None:
    """The ENI that a pass attached."""
    had = {eni.id for eni in event.before.enis}
    return next((eni for eni in event.after.enis if eni.id not in had), None)


def counted(given: Granted) -> tuple[int, int]:
    """How many addresses and how many prefixes."""
    prefixes = sum("/" in str(one) for one in given)
    return len(given) - prefixes, prefixes


def short_of(stats: Stats, rules: Settings) -> str:
    """`available (8) < ENI target (1) * addrsPerENI (9)`."""
    target, size = warm(rules)
    return f"available ({stats.available}) < ENI target ({target}) * addrsPerENI ({size})"


def listed(values: Iterable[object]) -> str:
    """As Go prints a slice: `[10.0.1.5 10.0.1.6]`."""
    return f"[{' '.join(map(str, values))}]"


def _slots(store: DataStore, eni_id: str) -> Granted:
    return next((slots(eni) for eni in store.enis if eni.id == eni_id), ())
