"""What each node's logs say of what an allocation run did there."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from testbed.eks.logs import ipamd, ipamd_v1_5, plugin
from testbed.eks.logs.events import Deleted, Event, Pass, SetUp, Started
from testbed.eks.logs.line import Line
from testbed.eks.logs.places import Place, ipamd_place, plugin_place
from testbed.eks.logs.pools import new_eni
from testbed.eks.model import EksCluster
from testbed.eks.wiring.exempt import exempt_cidrs
from testbed.kubernetes.placement import PodAddress
from testbed.vpc.eni import Eni
from testbed.vpc.model import Vpc


@dataclass(frozen=True)
class Log:
    """What is appended to one log of a node."""

    node: str
    place: Place
    lines: tuple[Line, ...]


def logs(
    cluster: EksCluster, vpc: Vpc, enis: Iterable[Eni], events: Iterable[Event]
) -> Iterator[Log]:
    """The logs of a cluster's nodes.  enis: those there are in the end.

    events: of all nodes, in order.
    """
    own: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        own[event.node].append(event)
    ranges = exempt_cidrs(cluster.env, vpc)
    daemon = ipamd_place(cluster.profile, cluster.env)
    wiring = plugin_place(cluster.profile, cluster.env)
    links = {eni.id: eni for eni in enis}
    for node in cluster.nodes:
        told = _with_links(own[node.name], links, vpc)
        yield Log(node.name, daemon, tuple(_ipamd(cluster, told)))
        if wiring:
            yield Log(node.name, wiring, tuple(plugin.lines(cluster, ranges, own[node.name])))


def deleted(
    cluster: EksCluster, before: Iterable[PodAddress], after: Iterable[PodAddress]
) -> Iterator[Deleted]:
    """The pods of nodes that gave their addresses back.  cluster: as it was before."""
    pods = {pod.netns: pod for pod in cluster.pods}
    left = {*after}
    for placed in before:
        of_node = placed.cluster == cluster.name and not placed.on_fargate
        if of_node and not placed.host_network and placed not in left:
            yield Deleted(placed.node, pods[placed.pod], placed, cluster.env.ip_cooldown_period)


def started(before: EksCluster | None, cluster: EksCluster) -> Iterator[Started]:
    """The nodes that are new, and all of them where aws-node is rolled out."""
    there = {node.name for node in before.nodes} if before else set()
    same = before and (before.profile, before.env) == (cluster.profile, cluster.env)
    for node in cluster.nodes:
        if not same or node.name not in there:
            yield Started(node.name)


def _ipamd(cluster: EksCluster, events: Iterable[Event]) -> Iterator[Line]:
    says = ipamd_v1_5.lines if cluster.profile == "slides" else ipamd.lines
    for event in events:
        yield from says(event)


def _with_links(events: Iterable[Event], enis: Mapping[str, Eni], vpc: Vpc) -> Iterator[Event]:
    """The events, and after each pass that attached an ENI the set-up of its link."""
    subnets = {subnet.name: subnet.cidr for subnet in vpc.subnets}
    for event in events:
        yield event
        made = new_eni(event) if isinstance(event, Pass) else None
        if made and made.id in enis:
            eni = enis[made.id]
            yield SetUp(event.node, eni, subnets[eni.subnet])
