"""Targets of iptables' rules, from what `iptables-save` prints after `-j`."""

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address

from testbed.explain.netfilter.conditions import (
    ALL_BITS,
    Action,
    ChangeTtl,
    Continue,
    Jump,
    LowerMss,
    NotUnderstood,
    Range,
    Reject,
    SetField,
    SetMark,
    Translate,
    Verdict,
)


def target(name: str, options: list[str], *, goto: bool = False) -> Action:
    """What `-j NAME OPTIONS` does; a name nobody knows may be a chain's."""
    build = _TARGETS.get(name)
    if goto or (build is None and not options):
        return Jump(name, goto)  # there is a chain of that name, or nobody knows the target
    try:
        action = build(options) if build else None
    except (ValueError, IndexError):
        action = None
    return action or NotUnderstood(f"target {' '.join([name, *options])}")


def mark_and_mask(text: str) -> tuple[int, int]:
    """`0x80/0x80` as two numbers; without a mask all bits count."""
    mark, slash, mask = text.partition("/")
    return int(mark, 0), int(mask, 0) if slash else ALL_BITS


def _option(options: list[str], name: str) -> str:
    """The word behind an option; empty when it is not there."""
    return options[options.index(name) + 1] if name in options else ""


def _set_mark(options: list[str]) -> Action | None:
    if options[0] != "--set-xmark":
        return None
    value, mask = mark_and_mask(options[1])
    return SetMark("mark", mask, value)


def _set_connmark(options: list[str]) -> Action | None:
    if options[0] == "--set-xmark":
        value, mask = mark_and_mask(options[1])
        return SetMark("ct_mark", mask, value)
    of_packet = int(_option(options, "--nfmask") or _option(options, "--mask") or str(ALL_BITS), 0)
    of_connection = int(
        _option(options, "--ctmask") or _option(options, "--mask") or str(ALL_BITS), 0
    )
    if options[0] == "--restore-mark":
        return SetMark("mark", of_packet, other="ct_mark", other_mask=of_connection)
    if options[0] == "--save-mark":
        return SetMark("ct_mark", of_connection, other="mark", other_mask=of_packet)
    return None


_RANDOM = ("--random", "--random-fully")


def _translate(side: str) -> Callable[[list[str]], Action | None]:
    def build(options: list[str]) -> Action | None:
        to = _option(options, "--to-source" if side == "source" else "--to-destination")
        host, _, ports = to.partition(":")
        known = {*_RANDOM, "--persistent"}
        if {*options[2:]} - known or (side == "destination" and not host):
            return None
        return Translate(
            side,
            int(IPv4Address(host)) if host else None,
            Range.of(ports),
            random=any(word in options for word in _RANDOM),
        )

    return build


def _masquerade(options: list[str]) -> Action | None:
    ports = _option(options, "--to-ports")
    random = any(word in options for word in _RANDOM)
    return Translate("source", None, Range.of(ports), random=random)


def _set_ttl(options: list[str]) -> Action | None:
    value = int(options[1])
    if options[0] == "--ttl-set":
        return SetField("ttl", value)
    return ChangeTtl(value if options[0] == "--ttl-inc" else -value)


def _lower_mss(options: list[str]) -> Action | None:
    """`--clamp-mss-to-pmtu` goes by what kernels have learnt of a path: nobody knows."""
    return LowerMss(int(options[1])) if options[0] == "--set-mss" else None


def _reject(options: list[str]) -> Action:
    kind = (_option(options, "--reject-with") or "icmp-port-unreachable").removeprefix("icmp-")
    names = {"tcp-reset": "RST", "proto-unreachable": "prot-unreachable"}
    return Reject(names.get(kind, kind))


_TARGETS: Mapping[str, Callable[[list[str]], Action | None]] = {
    "ACCEPT": lambda _: Verdict("accept"),
    "DROP": lambda _: Verdict("drop"),
    "RETURN": lambda _: Verdict("return"),
    "REJECT": _reject,
    "MARK": _set_mark,
    "CONNMARK": _set_connmark,
    "DNAT": _translate("destination"),
    "SNAT": _translate("source"),
    "MASQUERADE": _masquerade,
    "TTL": _set_ttl,
    "LOG": lambda _: Continue(),
    "NFLOG": lambda _: Continue(),
    "TCPMSS": _lower_mss,
}
