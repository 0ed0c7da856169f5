"""ipamD's data store of one node, as a value: its ENIs, their addresses, and who has which.

Times are seconds on the clock of whoever asks.  Source: amazon-vpc-cni-k8s,
pkg/ipamd/datastore/data_store.go (v1.23.1); ipamd/datastore/data_store.go (v1.5.7).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network

from testbed.eks.ipamd.settings import Settings
from testbed.vpc.prefixes import PREFIX_SIZE

LONG_AGO = float("-inf")


@dataclass(frozen=True)
class Prefix:
    """A /28 of an ENI.  assigned: pods have these.  released: when a pod gave an address back."""

    cidr: IPv4Network
    assigned: frozenset[IPv4Address] = frozenset()
    released: Mapping[IPv4Address, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PoolEni:
    """An attached ENI: its secondary addresses and its prefixes.

    assigned: pods have these; free: the others, lowest first.  released: when a pod gave a free
    one back.  excluded: it is in a subnet whose tag keeps pods out.
    """

    id: str
    device_index: int
    free: tuple[IPv4Address, ...] = ()
    assigned: frozenset[IPv4Address] = frozenset()
    released: Mapping[IPv4Address, float] = field(default_factory=dict)
    prefixes: tuple[Prefix, ...] = ()
    attached_at: float = LONG_AGO
    trunk: bool = False
    efa: bool = False
    excluded: bool = False

    @property
    def primary(self) -> bool:
        """Whether it is eth0, which EC2 never detaches."""
        return self.device_index == 0

    @property
    def slots(self) -> int:
        """How many of the type's secondary addresses are in use; a prefix counts as one."""
        return len(self.free) + len(self.assigned) + len(self.prefixes)

    @property
    def has_pods(self) -> bool:
        """Whether a pod has an address of it, of either kind."""
        return bool(self.assigned) or any(prefix.assigned for prefix in self.prefixes)

    def released_at(self) -> float:
        """When the last pod gave an address of it back."""
        times = [*self.released.values()]
        for prefix in self.prefixes:
            times += prefix.released.values()
        return max(times, default=LONG_AGO)

    def freeable(self, *, prefixes: bool) -> tuple[IPv4Network | IPv4Address, ...]:
        """What could go back to EC2, in that order: nothing a pod has; cooldown is no matter.

        prefixes: the mode; what is left of the other mode comes last.
        """
        blocks = [prefix.cidr for prefix in reversed(self.prefixes) if not prefix.assigned]
        singles = list(reversed(self.free))
        return (*blocks, *singles) if prefixes else (*singles, *blocks)


@dataclass(frozen=True)
class DataStore:
    """ipamD's data store of one node, the ENIs by device index."""

    enis: tuple[PoolEni, ...] = ()

    def eni(self, eni_id: str) -> PoolEni:
        """The ENI with this id.  Raises LookupError."""
        for eni in self.enis:
            if eni.id == eni_id:
                return eni
        raise LookupError("datastore: unknown ENI")

    def put(self, eni: PoolEni) -> "DataStore":
        """The store with this ENI, new or in place of what it was."""
        if any(other.id == eni.id for other in self.enis):
            kept = (eni if other.id == eni.id else other for other in self.enis)
            return DataStore(tuple(kept))
        return DataStore(tuple(sorted([*self.enis, eni], key=lambda eni: eni.device_index)))

    def without(self, eni_id: str) -> "DataStore":
        """The store after this ENI was detached."""
        return DataStore(tuple(eni for eni in self.enis if eni.id != eni_id))


def choose(
    store: DataStore, rules: Settings, now: float, device_index: int | None = None
) -> tuple[PoolEni, IPv4Address] | None:
    """The address the next pod gets: the primary ENI's first, then by device index; the lowest.

    device_index: only from this ENI.  Upstream leaves the order of ENIs, and of secondary
    addresses, to Go's maps, new on each call.
    """
    for eni in store.enis:
        if eni.excluded or device_index not in (None, eni.device_index):
            continue
        if rules.prefix_delegation:
            found = (_of_prefix(prefix, rules, now) for prefix in eni.prefixes)
        else:
            found = (one for one in eni.free if _cooled(eni.released.get(one), rules, now))
        address = next((one for one in found if one), None)
        if address:
            return eni, address
    return None


def _of_prefix(prefix: Prefix, rules: Settings, now: float) -> IPv4Address | None:
    """One that was used before and has cooled down, else the lowest that never was used."""
    again = [one for one, at in prefix.released.items() if _cooled(at, rules, now)]
    if again:
        return min(again)
    used = {*prefix.assigned, *prefix.released}
    return next((address for address in prefix.cidr if address not in used), None)


def _cooled(released_at: float | None, rules: Settings, now: float) -> bool:
    return released_at is None or now - released_at > rules.cooldown_s


def assign(
    store: DataStore, eni: PoolEni, address: IPv4Address, rules: Settings, now: float
) -> DataStore:
    """The store after a pod was given this free address."""
    if address in eni.free:
        free = tuple(other for other in eni.free if other != address)
        released = _without(eni.released, [address])
        taken = replace(eni, free=free, assigned=eni.assigned | {address}, released=released)
        return store.put(taken)
    prefix = next(prefix for prefix in eni.prefixes if address in prefix.cidr)
    # upstream's search forgets, on its way, that the ones out of cooldown were ever used
    cooled = [one for one, at in prefix.released.items() if _cooled(at, rules, now)]
    released = _without(prefix.released, [*cooled, address])
    used = replace(prefix, assigned=prefix.assigned | {address}, released=released)
    return store.put(_with_prefix(eni, used))


def unassign(store: DataStore, address: IPv4Address, now: float) -> DataStore:
    """The store after a pod gave its address back; it cools down from now on.

    Raises LookupError: no pod has the address.
    """
    for eni in store.enis:
        if address in eni.assigned:
            released = {**eni.released, address: now}
            free = tuple(sorted([*eni.free, address]))
            back = replace(eni, free=free, assigned=eni.assigned - {address}, released=released)
            return store.put(back)
        for prefix in eni.prefixes:
            if address in prefix.assigned:
                released = {**prefix.released, address: now}
                used = replace(prefix, assigned=prefix.assigned - {address}, released=released)
                return store.put(_with_prefix(eni, used))
    raise LookupError("datastore: unknown pod")


def add(eni: PoolEni, given: Iterable[IPv4Network | IPv4Address]) -> PoolEni:
    """The ENI with addresses and prefixes that EC2 assigned to it."""
    singles, blocks = _kinds(given)
    prefixes = [*eni.prefixes, *map(Prefix, blocks)]
    return replace(
        eni,
        free=tuple(sorted([*eni.free, *singles])),
        prefixes=tuple(sorted(prefixes, key=lambda prefix: prefix.cidr)),
    )


def remove(eni: PoolEni, gone: Iterable[IPv4Network | IPv4Address]) -> PoolEni:
    """The ENI without addresses and prefixes that EC2 took back, whoever has them."""
    singles, blocks = _kinds(gone)
    return replace(
        eni,
        free=tuple(address for address in eni.free if address not in singles),
        assigned=eni.assigned.difference(singles),
        released=_without(eni.released, singles),
        prefixes=tuple(prefix for prefix in eni.prefixes if prefix.cidr not in blocks),
    )


def _kinds(
    mixed: Iterable[IPv4Network | IPv4Address],
) -> tuple[list[IPv4Address], list[IPv4Network]]:
    mixed = tuple(mixed)
    singles = [one for one in mixed if isinstance(one, IPv4Address)]
    return singles, [one for one in mixed if isinstance(one, IPv4Network)]


def _without(
    times: Mapping[IPv4Address, float], gone: Iterable[IPv4Address]
) -> Mapping[IPv4Address, float]:
    if not times:
        return times
    dropped = frozenset(gone)
    return {address: at for address, at in times.items() if address not in dropped}


def _with_prefix(eni: PoolEni, changed: Prefix) -> PoolEni:
    kept = (changed if prefix.cidr == changed.cidr else prefix for prefix in eni.prefixes)
    return replace(eni, prefixes=tuple(kept))


@dataclass(frozen=True, kw_only=True)
class Stats:
    """What the pool loop counts: the addresses of the mode in use, on ENIs that are not excluded.

    prefixes, free_prefixes: all of them, and those no pod has an address of.
    """

    total: int
    assigned: int
    prefixes: int
    free_prefixes: int

    @property
    def available(self) -> int:
        """Addresses that no pod has; those in cooldown count, though no pod gets them yet."""
        return self.total - self.assigned


def count(store: DataStore, rules: Settings) -> Stats:
    """The store in numbers."""
    blocks = [prefix for eni in store.enis for prefix in eni.prefixes]
    mine = [eni for eni in store.enis if not eni.excluded]
    if rules.prefix_delegation:
        usable = [prefix for eni in mine for prefix in eni.prefixes]
        total, assigned = PREFIX_SIZE * len(usable), sum(len(one.assigned) for one in usable)
    else:
        assigned = sum(len(eni.assigned) for eni in mine)
        total = assigned + sum(len(eni.free) for eni in mine)
    free = sum(not prefix.assigned for prefix in blocks)
    return Stats(total=total, assigned=assigned, prefixes=len(blocks), free_prefixes=free)
