"""A link's traffic shaper as a fact: the queueing discipline htb, its classes, who gets which.

tc qdisc show dev cbr0    qdisc htb 1: root refcnt 2 r2q 10 default 0x30 …
tc class show dev cbr0    class htb 1:1 root prio 0 rate 10Mbit ceil 10Mbit burst 1600b …
tc filter show dev cbr0   filter parent 1: protocol ip pref 1 u32 … flowid 1:1
                            match 6460010a/ffffffff at 16
"""

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal

from testbed.net.facts import Fact

Side = Literal["src", "dst"]


@dataclass(frozen=True, slots=True)
class Limit:
    """A class, and the filter that puts an address' packets into it.

    minor: the class is `1:minor`.  side, address: which packets; none for a class without filter.
    """

    minor: int
    kbit: int  # 1000 bits a second
    side: Side | None = None
    address: IPv4Address | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaper(Fact):
    """`htb 1:` at a link's root.

    default: the minor of the class for what no filter chooses; without that class it is not
    limited.  limits: by their minors.
    """

    identity = ("ns", "dev")

    dev: str
    default: int
    limits: tuple[Limit, ...] = ()
