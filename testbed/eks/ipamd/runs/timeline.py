"""A node's ipamD over time: pods come and go, its loop runs, cooldowns end.  Pure.

The clock starts as aws-node does.  EC2 answers at once: attaching an ENI takes no time here.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

from pydantic import TypeAdapter

from testbed.description import Seconds
from testbed.eks.ipamd.daemon import REFUSED_S, Ipamd
from testbed.eks.ipamd.datastore.store import DataStore, count
from testbed.eks.ipamd.decisions import AttachEni, Decision, Refusal
from testbed.eks.ipamd.runs.node import NodeEc2
from testbed.eks.ipamd.settings import settings
from testbed.eks.model import EksCluster
from testbed.errors import UsageError
from testbed.kubernetes.model import Node
from testbed.vpc.checks.ranges import fits
from testbed.vpc.ec2 import Ec2
from testbed.vpc.eni import InterfaceSpecification
from testbed.vpc.model import Internet, Subnet, Vpc

PERIOD_S = 5.0  # amazon-vpc-cni-k8s: ipPoolMonitorInterval, half of it before a pass
QUIET_S = REFUSED_S + PERIOD_S  # after the last moment: longer than any of ipamD's intervals
ZONE = "us-west-2a"
EMPTY = DataStore()
RESTART = "restart"
MOST_PODS = 10_000  # of a node; kubelet would not take a tenth
LONGEST_S = 86_400  # a day: 17,280 passes


@dataclass(frozen=True)
class Moment:
    """From now on so many pods want to run on the node; none: its ipamD starts again."""

    at_s: float
    pods: int | None


def moment(written: str) -> Moment:
    """`60s=12`: after a minute twelve pods want to run; `65s=restart`.  Raises UsageError."""
    at, _, pods = written.partition("=")
    try:
        seconds = TypeAdapter(Seconds).validate_python(float(at) if at.isdecimal() else at)
        if seconds > LONGEST_S:
            raise ValueError(at)
        if pods == RESTART:
            return Moment(seconds, None)
        if not pods.isdecimal() or int(pods) > MOST_PODS:
            raise ValueError(pods)
    except ValueError as error:  # pydantic's own is one
        examples = "such as 60s=12, or 65s=restart"
        wanted = f"a time up to {LONGEST_S} s and at most {MOST_PODS} pods, {examples}"
        raise UsageError(f"expected {wanted}; found {written!r}") from error
    return Moment(seconds, int(pods))


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something changed.  waiting: pods whose ADD fails until an address is there.

    done: what one pass asked of EC2, of ENIs by their links' names: eth1.  requests: all so far.
    restarted: ipamD has started again.
    """

    at_s: float
    pods: int
    waiting: int
    total: int
    assigned: int
    available: int
    enis: int
    done: tuple[Decision | Refusal, ...] = ()
    requests: int
    restarted: bool = False


def timeline(
    cluster: EksCluster, node: Node, subnet: IPv4Network, moments: Iterable[Moment]
) -> list[Event]:
    """What happens on a node that is alone in its subnet, until nothing changes any more.

    The events that tell nothing new are left out: v1.5's, when it asks a full subnet again.
    Raises UsageError: AWS has no such subnet.
    """
    if not fits(subnet):
        raise UsageError(f"a subnet is a /16 to a /28, not {subnet}")
    story = _Story(cluster, node, subnet)
    return list(_news(story.told(sorted(moments, key=lambda moment: moment.at_s))))


def _news(events: Iterable[Event]) -> Iterator[Event]:
    """The events that are not like the last one of their kind: a state, or what EC2 refused.

    And the last of all, if in between EC2 was asked the same again.
    """
    state: object = None
    refused: object = None
    told = event = None
    for event in events:
        now = (event.pods, event.waiting, event.total, event.assigned, event.enis)
        if now != state or event.restarted or event.done not in ((), refused):
            yield event
            told = event
        state, refused = now, event.done or refused
    if event and told and event.requests != told.requests:
        yield event


class _Story:
    """The node while its story is told; it has state as ipamD has."""

    def __init__(self, cluster: EksCluster, node: Node, subnet: IPv4Network) -> None:
        vpc = Vpc("main", (subnet,), (Subnet(node.subnet, subnet, ZONE),))
        ec2 = Ec2([vpc], Internet(), instance_types={node.name: node.instance_type})
        ec2.create_network_interface(
            InterfaceSpecification(
                vpc=vpc.name, subnet=node.subnet, instance=node.name, device_index=0
            )
        )
        self._rules = settings(cluster, node)
        self._calls = NodeEc2(ec2, vpc, cluster, node, self._rules)
        self._ipamd = Ipamd(self._rules, self._calls.store(frozenset()), self._calls)
        self._pods: list[IPv4Address] = []
        self._wanted = 0
        self._requests = 0

    def told(self, moments: list[Moment]) -> Iterator[Event]:
        """What happens at each moment and in each pass of the loop."""
        end = (moments[-1].at_s if moments else 0) + QUIET_S
        passes = self._passes(end)
        following = next(passes, None)
        for moment in [*moments, None]:
            while following is not None and (moment is None or following < moment.at_s):
                yield self._loop(following)
                following = next(passes, None)
            if moment:
                yield self._moment(moment)

    def _passes(self, end: float) -> Iterator[float]:
        """v1.23 fills the pool before it says that it is ready, v1.5 in its first pass."""
        if self._rules.era.prescales:
            yield 0.0
        at = PERIOD_S / 2
        while at <= end:
            yield at
            at += PERIOD_S

    def _loop(self, now: float) -> Event:
        before = self._ipamd.store
        done = self._ipamd.run_pass(now)
        self._requests += len(done)
        self._add_pods(now)
        return self._event(now, self._by_links(done, before))

    def _by_links(
        self, done: Iterable[Decision | Refusal], before: DataStore = EMPTY
    ) -> tuple[Decision | Refusal, ...]:
        """What was done, of ENIs that are there now or were before."""
        enis = (*before.enis, *self._ipamd.store.enis)
        names = {eni.id: f"eth{eni.device_index}" for eni in enis}
        return tuple(_named(one, names) for one in done)

    def _moment(self, moment: Moment) -> Event:
        if moment.pods is None:
            return self._restart(moment.at_s)
        self._wanted = moment.pods
        while len(self._pods) > self._wanted:
            self._ipamd.take_back(self._pods.pop(), moment.at_s)
        self._add_pods(moment.at_s)
        return self._event(moment.at_s)

    def _restart(self, now: float) -> Event:
        """What pods have is known again; which addresses cool down, and all it waited for, is not.

        Its ENIs are as young to it as if they were new.
        """
        found = self._calls.store(frozenset(self._pods))
        store = DataStore(tuple(replace(eni, attached_at=now) for eni in found.enis))
        self._ipamd = Ipamd(self._rules, store, self._calls)
        done = [*self._ipamd.return_unused()]
        if self._rules.era.prescales:
            done += self._ipamd.run_pass(now)
        self._requests += len(done)
        self._add_pods(now)
        return replace(self._event(now, self._by_links(done)), restarted=True)

    def _add_pods(self, now: float) -> None:
        """kubelet tries again and again; here right after each pass."""
        while len(self._pods) < self._wanted:
            given = self._ipamd.give_address(now)
            if given is None:
                return
            self._pods.append(given[1])

    def _event(self, now: float, done: tuple[Decision | Refusal, ...] = ()) -> Event:
        stats = count(self._ipamd.store, self._rules)
        return Event(
            at_s=now,
            pods=self._wanted,
            waiting=self._wanted - len(self._pods),
            total=stats.total,
            assigned=stats.assigned,
            available=stats.available,
            enis=len(self._ipamd.store.enis),
            done=done,
            requests=self._requests,
        )


def _named(done: Decision | Refusal, names: Mapping[str, str]) -> Decision | Refusal:
    if isinstance(done, Refusal):
        return replace(done, decision=_renamed(done.decision, names))
    return _renamed(done, names)


def _renamed(decision: Decision, names: Mapping[str, str]) -> Decision:
    if isinstance(decision, AttachEni):
        return decision
    return replace(decision, eni=names[decision.eni])
