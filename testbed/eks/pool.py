"""One node's ipamD at work: its data store, kept in step with EC2 by the decisions."""

from ipaddress import IPv4Address

from testbed.eks.ipamd import (
    AssignAddresses,
    AttachEni,
    DataStore,
    Decision,
    FreeEni,
    PoolEni,
    Settings,
    UnassignAddresses,
    add,
    assign,
    choose,
    decide,
    remove,
)
from testbed.errors import AwsError
from testbed.vpc.ec2 import Ec2, InterfaceSpecification


class Ipamd:
    """The ipamD of one node, for one allocation run.

    It has state as the daemon has: the data store lives from one decision to the next.  Time
    stands still: an ENI attached here stays young, an address that was free before is out of
    cooldown.  in_use: addresses that pods have already.
    """

    def __init__(
        self, instance: str, rules: Settings, ec2: Ec2, in_use: frozenset[IPv4Address]
    ) -> None:
        self.instance = instance
        self._rules = rules
        self._ec2 = ec2
        self._refusal = ""
        self._store = DataStore(
            tuple(
                PoolEni(
                    eni.id,
                    eni.device_index,
                    free=tuple(sorted(set(eni.secondary) - in_use)),
                    assigned=in_use.intersection(eni.secondary),
                )
                for eni in ec2.attached(instance)
            )
        )

    @property
    def store(self) -> DataStore:
        """The data store as it is now."""
        return self._store

    @property
    def node_address(self) -> IPv4Address:
        """The node's own address, the primary one of eth0."""
        return self._ec2.attached(self.instance)[0].primary

    def settle(self) -> bool:
        """Run the pool loop until it has nothing more to do; whether it did anything.

        It ends: a young ENI is not freed, so only what an earlier run attached is, and whatever
        ipamD gives back leaves the pool above the targets that make it take more.
        """
        self._refusal = ""
        acted = False
        while (decision := decide(self._store, self._rules)) and self._carry_out(decision):
            acted = True
        return acted

    def assign(self, device_index: int | None = None) -> tuple[int, IPv4Address] | None:
        """An address for a pod, behind the index of its ENI; None if there is no free one.

        device_index: only an address of this ENI will do.
        """
        chosen = choose(self._store, device_index)
        if chosen is None:
            return None
        eni, address = chosen
        self._store = assign(self._store, eni, address)
        return eni.device_index, address

    def shortage(self, device_index: int | None = None) -> str:
        """Why `assign` found nothing."""
        if device_index is not None:
            return f"no free address on eth{device_index} of {self.instance}"
        if self._refusal:
            return self._refusal
        enis, total = len(self._store.enis), self._store.total
        return f"{self.instance} has {total} addresses on {enis} ENIs, all in use"

    def _carry_out(self, decision: Decision) -> bool:
        """Whether EC2 did it, at least in part; a refusal ends the loop: the subnet is full."""
        match decision:
            case AssignAddresses(eni_id, count):
                return self._assign_addresses(eni_id, count)
            case AttachEni(count):
                return self._attach(count)
            case UnassignAddresses(eni_id, addresses):
                self._ec2.unassign_private_ip_addresses(eni_id, addresses)
                self._store = self._store.put(remove(self._store.eni(eni_id), addresses))
            case FreeEni(eni_id):
                self._ec2.delete_network_interface(eni_id)
                self._store = self._store.without(eni_id)
        return True

    def _assign_addresses(self, eni_id: str, count: int) -> bool:
        """All that are wanted or, as upstream tries when EC2 refuses, a single one."""
        for attempt in dict.fromkeys((count, 1)):
            try:
                given = self._ec2.assign_private_ip_addresses(eni_id, attempt)
            except AwsError as error:
                self._refusal = error.message
            else:
                self._store = self._store.put(add(self._store.eni(eni_id), given))
                return True
        return False

    def _attach(self, count: int) -> bool:
        """One more ENI, at the lowest free device index and in the primary ENI's subnet."""
        at_once = self._rules.era.creates_with_addresses
        used = {eni.device_index for eni in self._store.enis}
        primary = self._ec2.attached(self.instance)[0]
        wanted = InterfaceSpecification(
            vpc=primary.vpc,
            subnet=primary.subnet,
            instance=self.instance,
            device_index=min(set(range(len(used) + 1)) - used),
            secondary_count=count if at_once else 0,
        )
        try:
            eni = self._ec2.create_network_interface(wanted)
        except AwsError as error:
            self._refusal = error.message
            return False
        pooled = PoolEni(eni.id, eni.device_index, free=eni.secondary, young=True)
        self._store = self._store.put(pooled)
        if not at_once:
            self._assign_addresses(eni.id, count)  # refused: v1.5 logs it, the ENI stays
        return True
