"""A link's shaper to netlink messages and back.  Pure.

What `tc qdisc add`, `tc class add … htb rate R ceil R` and `tc filter add … u32 match ip dst`
send (iproute2: tc/q_htb.c, tc/f_u32.c); only the tables of rates are left out, which kernels since
3.8 do not need where the link layer is told.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address
from socket import htons

from testbed.kernel.netlink import uapi
from testbed.kernel.netlink.wire import (
    attribute,
    attribute_text,
    attributes,
    message,
    u32,
)
from testbed.net.shaping import Limit, Shaper, Side

ETH_P_IP = 0x0800
ROOT = 0xFFFFFFFF  # TC_H_ROOT
MAJOR = 1 << 16  # `1:`
PREFERENCE = 1
FIRST_KEY = 0x80000800  # `800::800`, the first rule of u32's first table
HTB, U32 = "htb", "u32"

BURST_BYTES = 1600  # tc's own: what a class may send at once
TICK_NS = 64  # net/pkt_sched.h: PSCHED_SHIFT
SECOND_NS = 10**9
ETHERNET = 1  # TC_LINKLAYER_ETHERNET
SMALL_RATES = 0xFFFFFFFF  # bytes a second; a larger one has an attribute of its own

OFFSETS: dict[Side, int] = {"src": 12, "dst": 16}  # of the addresses in an IPv4 header

_TC = struct.Struct("=BxxxiIII")  # tcmsg: family, index, handle, parent, info
_GLOBAL = struct.Struct("=IIIII")  # tc_htb_glob: version, rate2quantum, default, debug, packets
_RATE = struct.Struct("=BBHhHI")  # tc_ratespec: cell log, link layer, overhead, align, mpu, rate
_OPTIONS = struct.Struct("=IIIII")  # rest of tc_htb_opt: buffers, quantum, level, priority
_SELECTOR = struct.Struct("=BBBxHHhhI")  # tc_u32_sel; then its one key
_KEY = struct.Struct("=4s4sii")  # mask, value, offset, offset mask
_U64 = struct.Struct("=Q")

VERSION, RATE_TO_QUANTUM = 3, 10  # HTB_VER >> 16; tc's r2q
TERMINAL = 1  # TC_U32_TERMINAL


def written(fact: Shaper, index: int) -> list[bytes]:
    """The messages that make a shaper; over an equal one, too, if EEXIST is forgiven."""
    start = _GLOBAL.pack(VERSION, RATE_TO_QUANTUM, fact.default, 0, 0)
    new = uapi.NLM_F_CREATE | uapi.NLM_F_EXCL
    messages = [_message(uapi.RTM_NEWQDISC, new, (index, MAJOR, ROOT, 0), HTB, _init(start))]
    for limit in fact.limits:
        where = index, MAJOR | limit.minor, MAJOR, 0
        messages.append(
            _message(uapi.RTM_NEWTCLASS, uapi.NLM_F_CREATE, where, HTB, _rate(limit.kbit))
        )
    for place, limit in enumerate(limit for limit in fact.limits if limit.side):
        info = PREFERENCE << 16 | htons(ETH_P_IP)
        where = index, FIRST_KEY + place, MAJOR, info
        messages.append(
            _message(uapi.RTM_NEWTFILTER, uapi.NLM_F_CREATE, where, U32, _match(limit))
        )
    return messages


def removed(index: int) -> bytes:
    """The message that ends a shaper, its classes and its filters."""
    return message(uapi.RTM_DELQDISC, 0, _TC.pack(0, index, 0, ROOT, 0))


Dump = Callable[[int, bytes], Iterable[bytes]]


def shapers(ns: str, devices: Iterable[tuple[int, str]], dump: Dump) -> Iterator[Shaper]:
    """What is at the root of these devices, which have htb.  dump: asks the kernel."""
    for index, dev in devices:
        default = _default(dump(uapi.RTM_GETQDISC, _TC.pack(0, index, 0, 0, 0)), index)
        if default is None:
            continue
        classes = dict(_classes(dump(uapi.RTM_GETTCLASS, _TC.pack(0, index, 0, 0, 0))))
        filters = dump(uapi.RTM_GETTFILTER, _TC.pack(0, index, 0, MAJOR, 0))
        chosen = {minor: (side, address) for minor, side, address in _filters(filters)}
        nobody: tuple[Side | None, IPv4Address | None] = (None, None)
        limits = (
            Limit(minor, kbit, *chosen.get(minor, nobody))
            for minor, kbit in sorted(classes.items())
        )
        yield Shaper(ns=ns, dev=dev, default=default, limits=tuple(limits))


def _message(
    kind: int, flags: int, where: tuple[int, int, int, int], name: str, options: bytes
) -> bytes:
    body = _TC.pack(0, *where) + attribute_text(uapi.TCA_KIND, name)
    return message(kind, flags, body + attribute(uapi.TCA_OPTIONS, options))


def _init(start: bytes) -> bytes:
    return attribute(uapi.TCA_HTB_INIT, start)


def _rate(kbit: int) -> bytes:
    rate = kbit * 1000 // 8
    burst = (BURST_BYTES + rate // SECOND_NS) * SECOND_NS // rate // TICK_NS
    spec = _RATE.pack(0, ETHERNET, 0, -1, 0, min(rate, SMALL_RATES))
    options = attribute(uapi.TCA_HTB_PARMS, spec + spec + _OPTIONS.pack(burst, burst, 0, 0, 0))
    if rate >= SMALL_RATES:
        options += attribute(uapi.TCA_HTB_RATE64, _U64.pack(rate))
        options += attribute(uapi.TCA_HTB_CEIL64, _U64.pack(rate))
    return options


def _match(limit: Limit) -> bytes:
    assert limit.side, "its caller has looked"
    assert limit.address, "a side is one of an address"
    selector = _SELECTOR.pack(TERMINAL, 0, 1, 0, 0, 0, 0, 0)
    key = _KEY.pack(b"\xff" * 4, limit.address.packed, OFFSETS[limit.side], 0)
    chosen = struct.pack("=I", MAJOR | limit.minor)
    return attribute(uapi.TCA_U32_CLASSID, chosen) + attribute(uapi.TCA_U32_SEL, selector + key)


def _default(dump: Iterable[bytes], index: int) -> int | None:
    """The default class of the device's root; None: htb is not there, or is another one."""
    for body in dump:
        _, of, handle, parent, _ = _TC.unpack_from(body)
        found = attributes(body, _TC.size)
        if (of, handle, parent) == (index, MAJOR, ROOT) and uapi.TCA_OPTIONS in found:
            options = attributes(found[uapi.TCA_OPTIONS])
            if uapi.TCA_HTB_INIT in options:
                return int(_GLOBAL.unpack_from(options[uapi.TCA_HTB_INIT])[2])
    return None


def _classes(dump: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    """The minor and the rate, in kbit/s, of each class."""
    for body in dump:
        _, _, handle, _, _ = _TC.unpack_from(body)
        options = attributes(attributes(body, _TC.size).get(uapi.TCA_OPTIONS, b""))
        if uapi.TCA_HTB_PARMS in options:
            rate = int(_RATE.unpack_from(options[uapi.TCA_HTB_PARMS])[-1])
            if uapi.TCA_HTB_RATE64 in options:
                (rate,) = _U64.unpack(options[uapi.TCA_HTB_RATE64])
            yield handle & 0xFFFF, rate * 8 // 1000


def _filters(dump: Iterable[bytes]) -> Iterator[tuple[int, Side, IPv4Address]]:
    """The class, the side and the address of each rule; u32's tables are no rules."""
    sides = {offset: side for side, offset in OFFSETS.items()}
    for body in dump:
        options = attributes(attributes(body, _TC.size).get(uapi.TCA_OPTIONS, b""))
        if uapi.TCA_U32_SEL in options and uapi.TCA_U32_CLASSID in options:
            _, value, offset, _ = _KEY.unpack_from(options[uapi.TCA_U32_SEL], _SELECTOR.size)
            if offset in sides:
                chosen = u32(options[uapi.TCA_U32_CLASSID]) & 0xFFFF
                yield chosen, sides[offset], IPv4Address(value)
