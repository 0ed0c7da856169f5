"""Listeners of a Network Load Balancer that pass on more than packets: TLS, the PROXY protocol.

A haproxy ends the client's connection and opens another one.  Where targets see the client it does
so with the client's own address and port (transparent proxying), and answers have to be taken for
the load balancer's own although they are for the client:

    output       ct state new ip saddr != 10.0.101.5 ct mark set ct mark | 0x00000001
    prerouting   ct direction reply ct mark & 0x00000001 == 0x00000001 meta mark set meta mark | 1
    10:     from all fwmark 0x1/0x1 lookup 100
    ip route show table 100      local default dev lo scope host

Source: Elastic Load Balancing, Network Load Balancers: "TLS listeners", "Proxy protocol".
"""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address

from testbed.net.facts import ANYWHERE, ChainRule, Fact, NftChain, Route, Rule
from testbed.services.load_balancers.targets import TargetGroup
from testbed.vpc.fabric.load_balancers import TABLE

CERTIFICATE = "tls.pem"  # in its directory; no client knows who signed it
MARK = 0x1  # of connections that it opened with a client's address, and of their answers
PRIORITY, ROUTES = 10, 100  # of the rule; the table
CONNECT_S = 5  # for a target to accept
ALL = "all"  # before the listener's name: its targets where none is healthy (fail open)

ANSWERS = "answers to connections opened with a client's address are the load balancer's own"


def relayed(groups: Iterable[TargetGroup]) -> tuple[TargetGroup, ...]:
    """Those of the groups whose connections end here; the rest is translated."""
    return tuple(group for group in groups if group.is_relayed and group.targets)


def transparent_facts(ns: str, own: IPv4Address) -> Iterator[Fact]:
    """What lets a program of the namespace speak with others' addresses."""
    marked = f"0x{MARK:08x}"
    for name, hook, text in (
        ("opened", "output", f"ct state new ip saddr != {own} ct mark set ct mark | {marked}"),
        (
            "answers",
            "prerouting",
            f"ct direction reply ct mark & {marked} == {marked}"
            f" meta mark set meta mark | {marked}",
        ),
    ):
        yield NftChain(
            ns=ns,
            family="ip",
            table=TABLE,
            name=name,
            hook=f"type filter hook {hook} priority mangle; policy accept;",
            rules=(ChainRule(text, ANSWERS),),
        )
    yield Rule(ns=ns, priority=PRIORITY, fwmark=MARK, fwmask=MARK, table=ROUTES, why=ANSWERS)
    yield Route(
        ns=ns, table=ROUTES, dst=ANYWHERE, dev="lo", kind="local", scope="host", why=ANSWERS
    )


def frontend(own: IPv4Address, group: TargetGroup, idle_s: int) -> Iterator[str]:
    """haproxy's listener, which takes the healthy targets, or all where none is."""
    name = group.listener
    secured = f" ssl crt {CERTIFICATE}" if group.spoken.decrypts else ""
    yield f"frontend to-{name}"
    yield f"    bind {own}:{group.port}{secured}"
    yield f"    timeout client {idle_s}s"
    yield f"    use_backend {name} if {{ nbsrv({name}) gt 0 }}"
    yield f"    default_backend {ALL}-{name}"


def backend(group: TargetGroup, name: str, idle_s: int) -> Iterator[str]:
    """The head of a backend with these targets."""
    yield f"backend {name}"
    yield f"    timeout connect {CONNECT_S}s"
    yield f"    timeout server {idle_s}s"
    yield f"    balance {'source' if group.sticky else 'roundrobin'}"
    if group.preserved:
        yield "    source 0.0.0.0 usesrc client"


def everyone(group: TargetGroup, idle_s: int) -> Iterator[str]:
    """The backend of all targets, which nobody checks."""
    yield from backend(group, f"{ALL}-{group.listener}", idle_s)
    for target in group.targets:
        yield f"    server {target.name} {target.ip}:{target.port}{sent(group)}"


def sent(group: TargetGroup) -> str:
    """What is spoken with a target."""
    secured = " ssl verify none" if group.spoken.encrypts else ""
    return f"{secured} send-proxy-v2" if group.tells_client else secured


def ended(group: TargetGroup) -> str:
    """What becomes of the connections to who is unhealthy: where there are others they end.

    (haproxy knows no exception for the last healthy one of several.)
    """
    ends = group.ends_unhealthy and len(group.targets) > 1
    return " on-marked-down shutdown-sessions" if ends else ""


def accepted(groups: Sequence[TargetGroup]) -> Iterator[ChainRule]:
    """The rules that let clients in."""
    for group in relayed(groups):
        yield ChainRule(f"tcp dport {group.port} accept", "a listener that ends connections here")
