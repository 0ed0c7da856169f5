"""Our own nft tables as netlink messages: chains around everybody's, which trace a probe.  Pure.

    table ip testbed-trace-7f3a {
        flags owner
        chain prerouting-first {
            type filter hook prerouting priority -500; policy accept;
            @th,32,32 0x1c3f5a70 meta nftrace set 1
        }
        …
        chain postrouting-last {
            type filter hook postrouting priority 400; policy accept;
        }
    }

The first chains of prerouting and output set `nftrace`, which the packet keeps until it leaves the
namespace; the others only have to be there, so that trace tells how the packet was at that place.
"""

import struct
from collections.abc import Iterator

from testbed.explain.evidence.witnesses import FIRST, LAST, Hook
from testbed.kernel.netlink.uapi import (
    NFNL_SUBSYS_NFTABLES,
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_REQUEST,
)
from testbed.kernel.netlink.wire import HEADER, attribute, attribute_text
from testbed.probes.observe.sent.patterns import ERROR_OFFSET, Bytes, Patterns, addresses, ports

# linux/netfilter/nfnetlink.h, nf_tables.h
BATCH_BEGIN, BATCH_END = 0x10, 0x11
NFT = NFNL_SUBSYS_NFTABLES << 8
NEWTABLE, DELTABLE, NEWCHAIN = NFT | 0, NFT | 2, NFT | 3
NEWRULE, GETRULE = NFT | 6, NFT | 7
GETGEN, TRACE = NFT | 16, NFT | 17
TABLE_F_OWNER = 0x2
TABLE_NAME, TABLE_FLAGS = 1, 2
CHAIN_TABLE, CHAIN_NAME, CHAIN_HOOK, CHAIN_TYPE = 1, 3, 4, 7
HOOK_NUMBER, HOOK_PRIORITY = 1, 2
RULE_TABLE, RULE_CHAIN, RULE_HANDLE, RULE_EXPRESSIONS = 1, 2, 3, 4
LIST_ELEMENT, EXPRESSION_NAME, EXPRESSION_DATA, DATA_VALUE = 1, 1, 2, 1
PAYLOAD_DREG, PAYLOAD_BASE, PAYLOAD_OFFSET, PAYLOAD_LENGTH = 1, 2, 3, 4
CMP_SREG, CMP_OPERATION, CMP_DATA = 1, 2, 3
IMMEDIATE_DREG, IMMEDIATE_DATA = 1, 2
META_KEY, META_SREG = 2, 3
GEN_ID = 1
TRACETYPE_POLICY, TRACETYPE_RULE = 1, 3
NETWORK_HEADER, TRANSPORT_HEADER = 1, 2
EQUAL = 0
META_NFTRACE = 12
REGISTER = 8  # NFT_REG32_00
NESTED = 0x8000

NFPROTO_IPV4, NFPROTO_BRIDGE = 2, 7  # linux/netfilter.h
FAMILIES = {1: "inet", NFPROTO_IPV4: "ip", 5: "netdev", NFPROTO_BRIDGE: "bridge", 10: "ip6"}
HOOKS: tuple[Hook, ...] = ("prerouting", "input", "forward", "output", "postrouting")  # by number
ENTRANCES = ("prerouting", "output")
PRIORITIES = {FIRST: -500, LAST: 400}  # raw is -300, srcnat 100 and 300 (bridge)

ADDRESS_FIELDS = 12  # offset of source and destination in an IP header

_BE32 = struct.Struct(">I")
_BE32_SIGNED = struct.Struct(">i")
_NFGENMSG = struct.Struct(">BBH")
NFGENMSG_BYTES = _NFGENMSG.size


def message(kind: int, flags: int, family: int, body: bytes = b"", resource: int = 0) -> bytes:
    """A request to nfnetlink."""
    head = _NFGENMSG.pack(family, 0, resource)
    length = HEADER.size + len(head) + len(body)
    return HEADER.pack(length, kind, NLM_F_REQUEST | flags, 0, 0) + head + body


def begin() -> bytes:
    """What begins a transaction."""
    return message(BATCH_BEGIN, 0, 0, resource=NFNL_SUBSYS_NFTABLES)


def end() -> bytes:
    """What ends a transaction."""
    return message(BATCH_END, 0, 0, resource=NFNL_SUBSYS_NFTABLES)


def tables(name: str, families: tuple[int, ...], patterns: Patterns) -> Iterator[bytes]:
    """A table in each family with our chains, owned by the socket that sends this."""
    for family in families:
        flags = attribute(TABLE_FLAGS, _BE32.pack(TABLE_F_OWNER))
        yield message(NEWTABLE, NLM_F_CREATE, family, attribute_text(TABLE_NAME, name) + flags)
        for number, hook in enumerate(HOOKS):
            for place, priority in PRIORITIES.items():
                yield _chain(name, family, f"{hook}-{place}", (number, priority))
        yield from rules(name, family, patterns)


def rules(name: str, family: int, patterns: Patterns) -> Iterator[bytes]:
    """The rules that set `nftrace` for what has the patterns."""
    for hook in ENTRANCES:
        for condition in _conditions(patterns):
            body = attribute_text(RULE_TABLE, name) + attribute_text(RULE_CHAIN, f"{hook}-{FIRST}")
            body += attribute(RULE_EXPRESSIONS | NESTED, condition + _TRACING)
            yield message(NEWRULE, NLM_F_CREATE | NLM_F_APPEND, family, body)


def deletion(name: str, families: tuple[int, ...]) -> Iterator[bytes]:
    """Our tables gone."""
    for family in families:
        yield message(DELTABLE, 0, family, attribute_text(TABLE_NAME, name))


def _chain(table: str, family: int, name: str, hook: tuple[int, int]) -> bytes:
    number, priority = hook
    place = attribute(HOOK_NUMBER, _BE32.pack(number))
    place += attribute(HOOK_PRIORITY, _BE32_SIGNED.pack(priority))
    body = attribute_text(CHAIN_TABLE, table) + attribute_text(CHAIN_NAME, name)
    body += attribute(CHAIN_HOOK | NESTED, place) + attribute_text(CHAIN_TYPE, "filter")
    return message(NEWCHAIN, NLM_F_CREATE, family, body)


def _conditions(patterns: Patterns) -> Iterator[bytes]:
    for one in patterns.direct:
        yield _equal(TRANSPORT_HEADER, one)
    for one in patterns.quoted:
        yield _equal(TRANSPORT_HEADER, Bytes(ERROR_OFFSET + one.offset, one.value))
    for flow in patterns.flows:
        source, destination = addresses(flow)
        yield (
            _equal(NETWORK_HEADER, Bytes(ADDRESS_FIELDS, source))
            + _equal(NETWORK_HEADER, Bytes(ADDRESS_FIELDS + 4, destination))
            + _equal(TRANSPORT_HEADER, Bytes(0, ports(flow)))
        )


def _equal(base: int, wanted: Bytes) -> bytes:
    """`@th,32,32 0x1c3f5a70`."""
    load = _expression(
        b"payload",
        attribute(PAYLOAD_DREG, _BE32.pack(REGISTER))
        + attribute(PAYLOAD_BASE, _BE32.pack(base))
        + attribute(PAYLOAD_OFFSET, _BE32.pack(wanted.offset))
        + attribute(PAYLOAD_LENGTH, _BE32.pack(4)),
    )
    compare = _expression(
        b"cmp",
        attribute(CMP_SREG, _BE32.pack(REGISTER))
        + attribute(CMP_OPERATION, _BE32.pack(EQUAL))
        + attribute(CMP_DATA | NESTED, attribute(DATA_VALUE, _BE32.pack(wanted.value))),
    )
    return load + compare


def _expression(name: bytes, data: bytes) -> bytes:
    body = attribute(EXPRESSION_NAME, name + b"\0") + attribute(EXPRESSION_DATA | NESTED, data)
    return attribute(LIST_ELEMENT | NESTED, body)


_ONE = attribute(DATA_VALUE, b"\1")
_TRACING = _expression(
    b"immediate",
    attribute(IMMEDIATE_DREG, _BE32.pack(REGISTER)) + attribute(IMMEDIATE_DATA | NESTED, _ONE),
) + _expression(
    b"meta",
    attribute(META_KEY, _BE32.pack(META_NFTRACE)) + attribute(META_SREG, _BE32.pack(REGISTER)),
)  # `meta nftrace set 1`
