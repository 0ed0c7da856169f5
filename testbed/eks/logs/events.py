"""What happens on a node while addresses are given, for whoever writes a log of it."""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network

from testbed.eks.ipamd.datastore.store import DataStore, Stats
from testbed.eks.ipamd.decisions import Decision, Refusal
from testbed.eks.ipamd.settings import Settings
from testbed.kubernetes.model import Pod
from testbed.kubernetes.placement import PodAddress
from testbed.vpc.eni import Eni


@dataclass(frozen=True)
class Pass:
    """A pass of ipamD's pool loop that asked EC2 for something; the store before and after."""

    node: str
    rules: Settings
    before: DataStore
    done: tuple[Decision | Refusal, ...]
    after: DataStore


@dataclass(frozen=True)
class Added:
    """A pod was given an address.  stats: of the store before."""

    node: str
    pod: Pod
    placed: PodAddress
    stats: Stats


@dataclass(frozen=True)
class Refused:
    """A pod found no address."""

    node: str
    pod: Pod
    stats: Stats


@dataclass(frozen=True)
class Deleted:
    """A pod gave its address back, which nobody gets for so many seconds."""

    node: str
    pod: Pod
    placed: PodAddress
    cooldown_s: int


@dataclass(frozen=True)
class Started:
    """The container aws-node has started."""

    node: str


@dataclass(frozen=True)
class SetUp:
    """The link, address and routing table of an ENI that was attached.  cidr: of its subnet."""

    node: str
    eni: Eni
    cidr: IPv4Network


Event = Pass | Added | Refused | Deleted | Started | SetUp
Witness = Callable[[Event], None]


def nobody(_: Event) -> None:
    """For whoever writes no log."""
