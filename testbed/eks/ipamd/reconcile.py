"""Reconciling: ipamD's store brought in line with what the instance metadata says is attached.

Sources: amazon-vpc-cni-k8s v1.5.7 ipamd/ipamd.go, nodeIPPoolReconcile; v1.23.1
pkg/ipamd/ipamd.go, the same, eniIPPoolReconcile and verifyAndAddIPsToDatastore.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from testbed.eks.ipamd.datastore.store import DataStore, PoolEni, add, remove
from testbed.eks.ipamd.settings import Settings

INTERVAL_S = 60  # no sooner after the pool changed: nodeIPPoolReconcileInterval
RETURNED_S = 60  # what went back to EC2 is not taken up again for so long: ipReconcileCooldown

Cidr = IPv4Network | IPv4Address  # a prefix or a secondary address
Cidrs = frozenset[Cidr]
NOTHING: Cidrs = frozenset()


@dataclass(frozen=True)
class Listed:
    """An ENI as the metadata lists it, without its primary address."""

    id: str
    device_index: int
    cidrs: Cidrs = NOTHING


@dataclass(frozen=True, kw_only=True)
class Attached:
    """What is attached: by the metadata, which may lag behind, and by EC2, which is the truth.

    ec2: None, the call fails.  returned: when ipamD gave something back to EC2.
    """

    imds: tuple[Listed, ...]
    ec2: Mapping[str, Cidrs] | None
    returned: Mapping[Cidr, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Added:
    """Into the store: an ENI has these."""

    eni: str
    cidrs: Cidrs


@dataclass(frozen=True)
class Removed:
    """Out of the store.  pods: those addresses that pods had, and have on without knowing."""

    eni: str
    cidrs: Cidrs
    pods: frozenset[IPv4Address] = frozenset()


@dataclass(frozen=True)
class EniAdded:
    """An ENI that somebody else attached is set up and used."""

    eni: str
    cidrs: Cidrs


@dataclass(frozen=True)
class EniRemoved:
    """An ENI that is not attached any more."""

    eni: str
    pods: frozenset[IPv4Address] = frozenset()


Change = Added | Removed | EniAdded | EniRemoved


def reconcile(
    store: DataStore, rules: Settings, attached: Attached, now: float
) -> tuple[DataStore, list[Change]]:
    """The store afterwards, and what changed.

    v1.5 believes the metadata, but never takes from a pod what it has; so an empty answer costs
    it all that is unused.  v1.23 gives up on an empty answer and asks EC2 where they differ, and
    then goes by EC2, whoever has the address.
    """
    if not attached.imds and not rules.era.trusts_metadata:
        return store, []
    changes: list[Change] = []
    for listed in attached.imds:
        store, done = _listed(store, rules, listed, attached, now)
        changes += done
    present = {listed.id for listed in attached.imds}
    for eni in store.enis:
        if eni.id not in present and not (eni.has_pods and rules.era.trusts_metadata):
            store = store.without(eni.id)
            changes.append(EniRemoved(eni.id, _pods(eni, _held(eni))))
    return store, changes


def _listed(
    store: DataStore, rules: Settings, listed: Listed, attached: Attached, now: float
) -> tuple[DataStore, list[Change]]:
    if all(eni.id != listed.id for eni in store.enis):
        new = PoolEni(listed.id, listed.device_index, attached_at=now)
        return store.put(add(new, listed.cidrs)), [EniAdded(listed.id, listed.cidrs)]
    eni, changes = store.eni(listed.id), []
    for change in _differences(eni, rules, listed, attached, now):
        changes.append(change)
        eni = (add if isinstance(change, Added) else remove)(eni, change.cidrs)
    return store.put(eni), [*changes]


def _differences(
    eni: PoolEni, rules: Settings, listed: Listed, attached: Attached, now: float
) -> Iterator[Added | Removed]:
    """Of one ENI: its addresses, then its prefixes."""
    for kind in (IPv4Address, IPv4Network):
        held, said = _of(kind, _held(eni)), _of(kind, listed.cidrs)
        verified = not rules.era.trusts_metadata and held != said
        if verified and attached.ec2 is None:
            continue  # this ENI is left alone
        if verified and attached.ec2 is not None:
            said = _of(kind, attached.ec2.get(eni.id, NOTHING))
        sure = {one: _there(one, eni.id, attached, now, verified=verified) for one in said}
        new = frozenset(one for one in said - held if sure[one])
        gone = frozenset(one for one in held if sure.get(one, False) is False)
        if rules.era.trusts_metadata:
            gone = frozenset(one for one in gone if not _pods(eni, frozenset([one])))
        if new:
            yield Added(eni.id, new)
        if gone:
            yield Removed(eni.id, gone, _pods(eni, gone))


def _there(
    one: Cidr, eni_id: str, attached: Attached, now: float, *, verified: bool
) -> bool | None:
    """Whether something listed is really the ENI's: not right after it was given back.

    None: nobody knows, for EC2 does not answer.
    """
    returned = attached.returned.get(one)
    if returned is None:
        return True
    if now - returned < RETURNED_S:
        return False
    if verified:
        return True
    return None if attached.ec2 is None else one in attached.ec2.get(eni_id, NOTHING)


def _held(eni: PoolEni) -> Cidrs:
    return frozenset([*eni.free, *eni.assigned, *(prefix.cidr for prefix in eni.prefixes)])


def _of(kind: type[Cidr], cidrs: Cidrs) -> Cidrs:
    return frozenset(one for one in cidrs if isinstance(one, kind))


def _pods(eni: PoolEni, cidrs: Cidrs) -> frozenset[IPv4Address]:
    """The pods' addresses among some of an ENI's."""
    of_prefixes = (prefix.assigned for prefix in eni.prefixes if prefix.cidr in cidrs)
    singles = (address for address in eni.assigned if address in cidrs)
    return frozenset(singles).union(*of_prefixes)
