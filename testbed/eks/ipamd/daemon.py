"""ipamD at work: one pass of its loop after the other, each a few conversations with EC2.

Sources: amazon-vpc-cni-k8s v1.5.7 ipamd/ipamd.go, updateIPPoolIfRequired and what it calls;
v1.23.1 pkg/ipamd/ipamd.go, the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

from testbed.eks.ipamd import pool
from testbed.eks.ipamd.datastore.store import (
    LONG_AGO,
    DataStore,
    PoolEni,
    add,
    assign,
    choose,
    count,
    remove,
    unassign,
)
from testbed.eks.ipamd.decisions import (
    Assign,
    AssignAddresses,
    AssignPrefixes,
    AttachEni,
    Decision,
    Ec2Calls,
    FreeEni,
    Granted,
    Refusal,
    Refused,
    Unassign,
    UnassignAddresses,
    UnassignPrefixes,
)
from testbed.eks.ipamd.settings import Settings
from testbed.errors import AwsError

DECREASE_S = 30  # the pool shrinks no sooner after it last did: decreaseIPPoolInterval
REFUSED_S = 120  # nothing is asked for after a subnet was full: insufficientCidrErrorCooldown
REFUSALS = (AwsError, Refused)
SUBNET_FULL = ("InsufficientFreeAddressesInSubnet", "InsufficientCidrBlocks")


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What ipamD remembers and is told, besides its store.  Times are on the caller's clock.

    decreased_at: the pool shrank; refused_at: a subnet was full.  unmanaged_enis: ENIs of the
    instance that are not ipamD's and count against its limit; so do those awaited_trunks.
    """

    decreased_at: float = LONG_AGO
    refused_at: float = LONG_AGO
    unmanaged_enis: int = 0
    awaited_trunks: int = 0
    terminating: bool = False
    cordoned: bool = False


class Ipamd:
    """The ipamD of one node.

    It has state as the daemon has: the store and the conditions live from one pass to the next.
    """

    def __init__(
        self,
        rules: Settings,
        store: DataStore,
        ec2: Ec2Calls,
        conditions: Conditions | None = None,
    ) -> None:
        self._rules = rules
        self._ec2 = ec2
        self.store = store
        self.conditions = conditions or Conditions()

    def run_pass(self, now: float) -> list[Decision | Refusal]:
        """One pass of the pool loop: everything it asked of EC2, in order."""
        return list(self._pass(now)) if self._rules.provisions else []

    def give_address(
        self, now: float, device_index: int | None = None
    ) -> tuple[int, IPv4Address] | None:
        """An address for a pod, behind the index of its ENI; None if there is no free one.

        device_index: only an address of this ENI will do.
        """
        chosen = choose(self.store, self._rules, now, device_index)
        if chosen is None:
            return None
        eni, address = chosen
        self.store = assign(self.store, eni, address, self._rules, now)
        return eni.device_index, address

    def take_back(self, address: IPv4Address, now: float) -> None:
        """A pod is gone.  Raises LookupError: no pod has the address."""
        self.store = unassign(self.store, address, now)

    def return_unused(self) -> list[Decision | Refusal]:
        """What ipamD does at its start: the unused of the other mode, and of closed ENIs, goes."""
        return list(self._return_unused())

    def _pass(self, now: float) -> Iterator[Decision | Refusal]:
        before = count(self.store, self._rules)
        if pool.too_low(before, self._rules):
            if self._may_change_enis() and not self._waits(now):
                yield from self._increase(now)
        elif pool.too_high(before, self._rules) and self._may_shrink(now):
            yield from self._decrease(now)
        # v1.23 goes by what it counted first, v1.5 counts again
        counted = count(self.store, self._rules) if self._rules.era.counts_again else before
        if pool.has_spare_eni(counted, self.store, self._rules) and self._may_change_enis():
            yield from self._free_eni(now)

    def _may_change_enis(self) -> bool:
        """Not while the daemon ends, nor on a node where nothing is scheduled; v1.5 always."""
        cordoned = self.conditions.cordoned and not self._rules.manages_cordoned
        stops = self.conditions.terminating or cordoned
        return not (stops and self._rules.era.stands_still)

    def _waits(self, now: float) -> bool:
        """Whether a subnet was full a short while ago; v1.5 asks again in every pass."""
        return self._rules.era.backs_off and now - self.conditions.refused_at <= REFUSED_S

    def _may_shrink(self, now: float) -> bool:
        return now - self.conditions.decreased_at > DECREASE_S

    def _increase(self, now: float) -> Iterator[Decision | Refusal]:
        """More addresses: for the first ENI with room that gets some, else by another ENI."""
        for eni in self._with_room():
            *refused, last = self._assign(self._request(eni))
            yield from (*refused, last)
            if not isinstance(last, Refusal):
                return
            if self._rules.era.backs_off and self._gives_up(last, now):
                return
            if not self._rules.subnet_discovery:
                break
        if self._has_room_for_eni():
            yield from self._attach(now)

    def _gives_up(self, refusal: Refusal, now: float) -> bool:
        """Other ENIs may be in other subnets: worth a try, if subnets are discovered."""
        if self._rules.subnet_discovery:
            return refusal.code not in SUBNET_FULL
        self._refused(refusal, now)
        return True

    def _with_room(self) -> list[PoolEni]:
        skipped = [eni.id for eni in self.store.enis if self._carries_no_pods(eni)]
        most = self._rules.slots_per_eni
        return [eni for eni in self.store.enis if eni.slots < most and eni.id not in skipped]

    def _carries_no_pods(self, eni: PoolEni) -> bool:
        return eni.trunk or eni.excluded or (eni.primary and self._rules.custom_networking)

    def _has_room_for_eni(self) -> bool:
        taken = self.conditions.unmanaged_enis + self.conditions.awaited_trunks
        return len(self.store.enis) < self._rules.max_enis - taken

    def _request(self, eni: PoolEni) -> Assign:
        room = self._rules.slots_per_eni - eni.slots
        if self._rules.era.fills_enis:
            return AssignAddresses(eni.id, room)
        wanted = min(room, self._wanted())
        if self._rules.prefix_delegation:
            return AssignPrefixes(eni.id, wanted)
        return AssignAddresses(eni.id, wanted)

    def _wanted(self) -> int:
        return pool.wanted(count(self.store, self._rules), self._rules)

    def _assign(self, request: Assign) -> Iterator[Decision | Refusal]:
        """All that are wanted or, as upstream tries when EC2 refuses, a single one."""
        for attempt in dict.fromkeys((request, replace(request, count=1))):
            try:
                granted = self._ec2.assign(attempt)
            except REFUSALS as error:
                yield Refusal(attempt, error.code, str(error))
            else:
                self._add(attempt.eni, granted)
                yield attempt
                return

    def _add(self, eni_id: str, granted: Granted) -> None:
        self.store = self.store.put(add(self.store.eni(eni_id), granted))

    def _attach(self, now: float) -> Iterator[Decision | Refusal]:
        """One more ENI.  v1.5 creates it without secondary addresses and asks for them then."""
        era, wanted = self._rules.era, min(self._wanted(), self._rules.slots_per_eni)
        request = AttachEni(addresses=wanted if era.creates_with_addresses else 0)
        if self._rules.prefix_delegation:
            request = AttachEni(prefixes=wanted)
        try:
            eni = self._ec2.attach(request)
        except REFUSALS as error:
            refusal = Refusal(request, error.code, str(error))
            self._refused(refusal, now)
            yield refusal
            return
        self.store = self.store.put(replace(eni, attached_at=now))
        yield request
        if not era.creates_with_addresses:
            yield next(self._assign(AssignAddresses(eni.id, wanted)))  # refused: only logged

    def _refused(self, refusal: Refusal, now: float) -> None:
        if refusal.code in SUBNET_FULL:
            self.conditions = replace(self.conditions, refused_at=now)

    def _decrease(self, now: float) -> Iterator[Decision | Refusal]:
        """Spare addresses or prefixes back to EC2, the last ENI's highest first.

        Upstream's order is random.
        """
        left = pool.over(count(self.store, self._rules), self._rules)
        for eni in reversed(self.store.enis):
            gone = eni.freeable(prefixes=self._rules.prefix_delegation)[:left]
            left -= len(gone)
            yield from self._unassign(eni, gone)
        self.conditions = replace(self.conditions, decreased_at=now)

    def _unassign(self, eni: PoolEni, gone: Granted) -> Iterator[Decision | Refusal]:
        """Out of the store first; EC2's refusal is only logged, and reconciling finds it again."""
        self.store = self.store.put(remove(eni, gone))
        for request in _back(eni, gone):
            try:
                self._ec2.unassign(request)
            except REFUSALS as error:
                yield Refusal(request, error.code, str(error))
            else:
                yield request

    def _free_eni(self, now: float) -> Iterator[Decision | Refusal]:
        """The last ENI that is not needed; one in a pass."""
        for eni in reversed(self.store.enis):
            if not pool.deletable(self.store, eni, self._rules, now):
                continue
            self.store = self.store.without(eni.id)
            request = FreeEni(eni.id)
            try:
                self._ec2.free(request)
            except REFUSALS as error:
                yield Refusal(request, error.code, str(error))
            else:
                yield request
            return

    def _return_unused(self) -> Iterator[Decision | Refusal]:
        if not self._rules.era.delegates_prefixes:
            return
        other = IPv4Address if self._rules.prefix_delegation else IPv4Network
        for eni in self.store.enis:
            unused = eni.freeable(prefixes=self._rules.prefix_delegation)
            gone = tuple(one for one in unused if eni.excluded or isinstance(one, other))
            yield from self._unassign(eni, gone)


def _back(eni: PoolEni, gone: Granted) -> Iterator[Unassign]:
    """Prefixes and addresses are given back by a call each, lowest first."""
    prefixes = tuple(sorted(one for one in gone if isinstance(one, IPv4Network)))
    addresses = tuple(sorted(one for one in gone if isinstance(one, IPv4Address)))
    if prefixes:
        yield UnassignPrefixes(eni.id, prefixes)
    if addresses:
        yield UnassignAddresses(eni.id, addresses)
