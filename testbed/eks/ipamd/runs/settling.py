"""A node's ipamD run to its end state: what a lab has once nothing changes any more."""

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Address

from testbed.eks.ipamd.daemon import Ipamd
from testbed.eks.ipamd.datastore.store import LONG_AGO, Stats, count
from testbed.eks.ipamd.decisions import Decision, Refusal
from testbed.eks.ipamd.runs.node import NodeEc2
from testbed.eks.ipamd.settings import Settings
from testbed.eks.logs.events import Pass, Witness, nobody

NOW = 0.0  # time stands still: what was there before is old, what comes stays young


class Settling:
    """The ipamD of one node, for one allocation run.

    An ENI attached in the run stays young, an address that was free before is out of cooldown.
    in_use: addresses that pods have already.  tell: is told of each pass that did anything.
    """

    def __init__(
        self,
        instance: str,
        rules: Settings,
        ec2: NodeEc2,
        in_use: frozenset[IPv4Address],
        tell: Witness = nobody,
    ) -> None:
        self.instance = instance
        self._rules = rules
        self._tell = tell
        self._refusal = ""
        self._ipamd = Ipamd(rules, ec2.store(in_use), ec2)
        self._ipamd.return_unused()

    def settle(self) -> bool:
        """Run the pool loop until it has nothing more to do; whether it did anything.

        It ends: a young ENI is not freed, so only what an earlier run attached is, and whatever
        ipamD gives back leaves the pool above the targets that make it take more.
        """
        self._refusal, acted = "", False
        while self._act(self._told_pass()):
            acted = True
        # by the next pod's time ipamD may shrink again, and ask a subnet again that was full
        self._ipamd.conditions = replace(
            self._ipamd.conditions, decreased_at=LONG_AGO, refused_at=LONG_AGO
        )
        return acted

    def _told_pass(self) -> list[Decision | Refusal]:
        before = self._ipamd.store
        done = self._ipamd.run_pass(NOW)
        if done:
            after = self._ipamd.store
            self._tell(Pass(self.instance, self._rules, before, tuple(done), after))
        return done

    @property
    def stats(self) -> Stats:
        """The data store in numbers."""
        return count(self._ipamd.store, self._rules)

    def assign(self, device_index: int | None = None) -> tuple[int, IPv4Address] | None:
        """An address for a pod, behind the index of its ENI; None if there is no free one.

        device_index: only an address of this ENI will do.
        """
        return self._ipamd.give_address(NOW, device_index)

    def shortage(self, device_index: int | None = None) -> str:
        """Why `assign` found nothing."""
        if device_index is not None:
            return f"no free address on eth{device_index} of {self.instance}"
        if self._refusal:
            return self._refusal
        store = self._ipamd.store
        enis, total = len(store.enis), count(store, self._rules).total
        return f"{self.instance} has {total} addresses on {enis} ENIs, all in use"

    def _act(self, done: Iterable[Decision | Refusal]) -> bool:
        """Whether EC2 did any of it."""
        acted = False
        for one in done:
            if isinstance(one, Refusal):
                self._refusal = one.message
            else:
                acted = True
        return acted
