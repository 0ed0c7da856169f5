"""What ipamD decides: its data store as a value, its settings, and the next thing it does.

Sources: amazon-vpc-cni-k8s v1.5.7 ipamd/ipamd.go, v1.23.1 pkg/ipamd/ipamd.go.  The upstream loop
runs every 5 s and does up to two things in one pass; here one decision is one EC2 conversation.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from testbed.eks.limits import kubelet_max_pods
from testbed.eks.model import EksCluster
from testbed.eks.profiles import ERAS, Era
from testbed.kubernetes.model import Node
from testbed.vpc.instance_types import limits


@dataclass(frozen=True)
class PoolEni:
    """An attached ENI's secondary addresses: those pods have, and the free ones, lowest first.

    young: attached less than 60 s ago; ipamD does not free such an ENI.
    """

    id: str
    device_index: int
    free: tuple[IPv4Address, ...] = ()
    assigned: frozenset[IPv4Address] = frozenset()
    young: bool = False

    @property
    def total(self) -> int:
        """How many secondary addresses the ENI has."""
        return len(self.free) + len(self.assigned)


@dataclass(frozen=True)
class DataStore:
    """ipamD's data store of one node, the ENIs by device index."""

    enis: tuple[PoolEni, ...] = ()

    @property
    def total(self) -> int:
        """How many addresses pods could have."""
        return sum(eni.total for eni in self.enis)

    @property
    def assigned(self) -> int:
        """How many addresses pods have."""
        return sum(len(eni.assigned) for eni in self.enis)

    @property
    def available(self) -> int:
        """How many addresses the next pods could have at once."""
        return sum(len(eni.free) for eni in self.enis)

    def eni(self, eni_id: str) -> PoolEni:
        """The ENI with this id."""
        return next(eni for eni in self.enis if eni.id == eni_id)

    def put(self, eni: PoolEni) -> "DataStore":
        """The store with this ENI, new or in place of what it was."""
        others = [other for other in self.enis if other.id != eni.id]
        return DataStore(tuple(sorted([*others, eni], key=lambda eni: eni.device_index)))

    def without(self, eni_id: str) -> "DataStore":
        """The store after this ENI was detached."""
        return DataStore(tuple(eni for eni in self.enis if eni.id != eni_id))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What ipamD goes by on one node.

    addresses_per_eni: secondary ones, so one less than EC2's limit.
    """

    era: Era
    warm_eni_target: int
    warm_ip_target: int
    minimum_ip_target: int
    max_enis: int
    addresses_per_eni: int
    max_pods: int

    @property
    def targets_defined(self) -> bool:
        """Whether addresses are counted, not whole ENIs."""
        return bool(self.warm_ip_target or self.minimum_ip_target)


@dataclass(frozen=True)
class AssignAddresses:
    """AssignPrivateIpAddresses: so many more for an ENI that has room."""

    eni: str
    count: int


@dataclass(frozen=True)
class AttachEni:
    """One more ENI, with so many secondary addresses."""

    count: int


@dataclass(frozen=True)
class UnassignAddresses:
    """UnassignPrivateIpAddresses: free addresses of an ENI go back to the subnet."""

    eni: str
    addresses: tuple[IPv4Address, ...]


@dataclass(frozen=True)
class FreeEni:
    """Detach and delete an ENI that no pod uses."""

    eni: str


Decision = AssignAddresses | AttachEni | UnassignAddresses | FreeEni


def settings(cluster: EksCluster, node: Node) -> Settings:
    """The cluster's environment of ipamD, resolved for one node."""
    env, era, allowed = cluster.env, ERAS[cluster.profile], limits(node.instance_type)
    return Settings(
        era=era,
        warm_eni_target=env.warm_eni_target,
        warm_ip_target=env.warm_ip_target,
        minimum_ip_target=env.minimum_ip_target if era.minimum_ip_target else 0,
        max_enis=min(env.max_eni or allowed.enis, allowed.enis),
        addresses_per_eni=allowed.ipv4_per_eni - 1,
        max_pods=kubelet_max_pods(node),
    )


def decide(store: DataStore, rules: Settings) -> Decision | None:
    """The next thing ipamD does about its pool, or None if the pool is as it should be."""
    if _too_low(store, rules) and (increase := _increase(store, rules)):
        return increase
    if rules.targets_defined and _over(store, rules) > 0:
        return _decrease(store, rules)
    if _has_spare_eni(store, rules):
        return _free_eni(store, rules)
    return None


def choose(
    store: DataStore, device_index: int | None = None
) -> tuple[PoolEni, IPv4Address] | None:
    """The address the next pod gets: the primary ENI's first, then by device index; the lowest.

    device_index: only from this ENI.  Upstream leaves the order to Go's maps, new on each call.
    """
    for eni in store.enis:
        if eni.free and device_index in (None, eni.device_index):
            return eni, eni.free[0]
    return None


def assign(store: DataStore, eni: PoolEni, address: IPv4Address) -> DataStore:
    """The store after a pod was given this free address."""
    free = tuple(other for other in eni.free if other != address)
    return store.put(replace(eni, free=free, assigned=eni.assigned | {address}))


def add(eni: PoolEni, addresses: Iterable[IPv4Address]) -> PoolEni:
    """The ENI with addresses that EC2 assigned to it."""
    return replace(eni, free=tuple(sorted([*eni.free, *addresses])))


def remove(eni: PoolEni, addresses: Iterable[IPv4Address]) -> PoolEni:
    """The ENI without free addresses that EC2 took back."""
    gone = frozenset(addresses)
    return replace(eni, free=tuple(address for address in eni.free if address not in gone))


def _short(store: DataStore, rules: Settings) -> int:
    return max(rules.warm_ip_target - store.available, rules.minimum_ip_target - store.total, 0)


def _over(store: DataStore, rules: Settings) -> int:
    spare = max(store.available - rules.warm_ip_target, 0)
    return max(min(spare, store.total - rules.minimum_ip_target), 0)


def _too_low(store: DataStore, rules: Settings) -> bool:
    if rules.era.caps_at_max_pods and store.total >= rules.max_pods:
        return False
    if rules.targets_defined:
        return _short(store, rules) > 0
    if rules.era.refills_empty_pool and rules.warm_eni_target == 0:
        return store.available == 0
    return store.available < rules.addresses_per_eni * rules.warm_eni_target


def _increase(store: DataStore, rules: Settings) -> Decision | None:
    """More addresses: for the first ENI with room, else by another ENI, as far as limits allow."""
    most = rules.addresses_per_eni
    wanted = _short(store, rules) or most
    for eni in store.enis:
        if eni.total < most:
            room = most - eni.total
            return AssignAddresses(eni.id, room if rules.era.fills_enis else min(room, wanted))
    if len(store.enis) < rules.max_enis:
        return AttachEni(min(wanted, most))
    return None


def _decrease(store: DataStore, rules: Settings) -> Decision | None:
    """Spare addresses back to EC2, the last ENI's highest first; upstream's order is random."""
    for eni in reversed(store.enis):
        if eni.free:
            return UnassignAddresses(eni.id, eni.free[-_over(store, rules) :])
    return None


def _has_spare_eni(store: DataStore, rules: Settings) -> bool:
    """Worth looking for an ENI to free: with targets always, else one more than is to be warm."""
    if rules.targets_defined:
        return True
    return store.available >= (rules.warm_eni_target + 1) * rules.addresses_per_eni


def _free_eni(store: DataStore, rules: Settings) -> Decision | None:
    """The last ENI without pods that the targets can spare; never the primary."""
    for eni in reversed(store.enis[1:]):
        others_free = store.available - len(eni.free)
        others_total = store.total - eni.total
        if eni.assigned or eni.young:
            continue
        if others_free >= rules.warm_ip_target and others_total >= rules.minimum_ip_target:
            return FreeEni(eni.id)
    return None
