"""What witnesses say of a real packet, as values: taps, nft trace, tracefs, answers of kernels."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from testbed.explain.journey import Header
from testbed.net.facts import IpAddress, Route, Rule, State

Device = tuple[str, str]  # its namespace, and its name there
Way = Literal["there", "back", "error"]  # error: an ICMP error about the packet, on its way back
Hook = Literal["prerouting", "input", "forward", "output", "postrouting"]
OWN_TABLE = "testbed-trace"  # how the names of our tables begin
FIRST, LAST = "first", "last"  # our chains in every hook, before and behind everybody else's

NOT_ITS_ADDRESS = "not an address of the sender's"  # why a probe was never sent


class Flow(NamedTuple):
    """What tells packets of a probe apart."""

    source: IpAddress
    source_port: int
    destination: IpAddress
    destination_port: int

    @classmethod
    def of(cls, header: Header) -> "Flow":
        """The flow of a header."""
        return cls(header.source, header.source_port, header.destination, header.destination_port)

    def turned(self) -> "Flow":
        """The flow of the answers."""
        return Flow(self.destination, self.destination_port, self.source, self.source_port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A packet tap saw the packet at a device."""

    ns: str
    dev: str
    time_ns: int
    outgoing: bool
    header: Header
    way: Way = "there"
    other_host: bool = False  # the frame is for another MAC than the device's


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """A rule that matched; of handle 0 the chain's policy."""

    chain: str
    handle: int
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Traversal:
    """nft trace told of a base chain that the packet went through, and how it was there."""

    ns: str
    family: str
    table: str
    chain: str
    header: Header
    mark: int
    iif: str = ""  # empty where a hook knows none
    oif: str = ""
    matched: tuple[Matched, ...] = ()
    way: Way = "there"

    @property
    def own(self) -> bool:
        """Whether it is one of our own chains, which only show the packet."""
        return self.table.startswith(OWN_TABLE)

    @property
    def hook(self) -> str:
        """Of an own chain: the hook it is in."""
        return self.chain.partition("-")[0]

    @property
    def place(self) -> str:
        """Of an own chain: first or last of its hook."""
        return self.chain.partition("-")[2]

    @property
    def dropped(self) -> bool:
        """Whether the packet ended there."""
        return any(step.verdict == "drop" for step in self.matched)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a routing decision depends on; `iif` is empty for what the namespace made itself."""

    ns: str
    destination: IpAddress
    source: IpAddress
    iif: str
    mark: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelRoute:
    """What the kernel answered when it was asked for the route.

    kind: unicast, local, blackhole, unreachable, prohibit, none; of what came in by a device also
    `martian`, and `dropped` where the kernel does not tell a blackhole from a refused source.
    route: for unicast and local.  rules: all of the namespace.
    neighbour: the next hop's entry, `lladdr 02:… REACHABLE`; `none` where there is none.
    works: the route's device has a carrier: its other end is up.  mtu: the route's, in bytes.
    space: all facts of the namespace; read only where the kernel does not say what it found.
    """

    kind: str
    route: Route | None = None
    rules: tuple[Rule, ...] = ()
    neighbour: str = ""
    works: bool = True
    mtu: int = 0
    space: State = frozenset()

    @property
    def is_end(self) -> bool:
        """Whether no packet goes on from here, nor is delivered."""
        return self.kind not in ("unicast", "local")


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelEvent:
    """A line of tracefs: a packet at a device, a table looked up, a packet freed."""

    kind: Literal["sent", "received", "lookup", "freed"]
    packet: str = ""  # the socket buffer's address
    dev: str = ""
    table: int = 0
    hit: bool = False
    source: IpAddress | None = None
    destination: IpAddress | None = None
    reason: str = ""
    function: str = ""


class RuleName(NamedTuple):
    """A rule as nft trace names it."""

    ns: str
    family: str
    table: str
    chain: str
    handle: int


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that was heard of one probe.

    refused: what the sender's own kernel answered to sending.
    """

    start: str
    sent: Header
    sightings: tuple[Sighting, ...] = ()
    traversals: tuple[Traversal, ...] = ()
    refused: str = ""
    events: tuple[KernelEvent, ...] = ()
