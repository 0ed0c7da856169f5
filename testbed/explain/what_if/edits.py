"""What if: a state that differs by an edit, said in the words of `ip`, `sysctl` and `iptables`.

    delete rule node-1 1536
    delete route node-1 default table 2
    set sysctl node-1 net.ipv4.conf.eth0.rp_filter 1
    set link node-1 eth1 down
    add rule node-1 1000 from 10.0.1.13 lookup 2
    add route node-1 blackhole 10.0.2.0/24
    add chain-rule node-1 filter FORWARD 1 -d 10.0.2.5/32 -j DROP

States are complete: with the default rules and the connected routes.
"""

import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from testbed.description.problem import unknown
from testbed.errors import UsageError
from testbed.explain.journey import SIZES
from testbed.explain.what_if.words import Words
from testbed.net.facts import (
    Address,
    Bridge,
    Chain,
    ChainRule,
    Fact,
    Fdb,
    Neighbour,
    NftChain,
    NftElement,
    Route,
    Rule,
    State,
    Sysctl,
    Veth,
)
from testbed.net.iptables import BUILT_IN, TABLES
from testbed.net.show import show

AnyFact = TypeVar("AnyFact", bound=Fact)
AnyChain = TypeVar("AnyChain", Chain, NftChain)

KINDS_OF_ROUTE = ("unicast", "blackhole", "unreachable", "prohibit", "throw")
WHY = "what if"


def edited(state: State, edit: str) -> State:
    """The state after one edit.

    Raises UsageError: words that no edit has, a namespace or a thing that is not there.
    """
    try:
        verb, kind, ns, *words = shlex.split(edit)
    except ValueError:
        raise UsageError(f"'{edit}': say a verb, a kind, a namespace, and which one") from None
    name = f"{verb} {kind}"
    if name not in _EDITS:
        raise UsageError(unknown("edit", name, _EDITS))
    namespaces = {fact.ns for fact in state}
    if ns not in namespaces:
        raise UsageError(unknown("namespace", ns, namespaces))
    return _EDITS[name](state, Words(name, ns, words))


def _all(state: State, ns: str, kind: type[AnyFact]) -> list[AnyFact]:
    return [fact for fact in state if isinstance(fact, kind) and fact.ns == ns]


def _links(state: State, ns: str) -> dict[str, Veth | Bridge]:
    links: list[Veth | Bridge] = [*_all(state, ns, Veth), *_all(state, ns, Bridge)]
    return {link.name: link for link in links}


def _without(
    state: State, words: Words, gone: Iterable[Fact], wanted: str, known: Collection[str]
) -> State:
    """The state without what an edit names.  Raises UsageError when that is nothing."""
    facts = frozenset(gone)
    if not facts:
        kind = words.name.split()[1]
        raise UsageError(f"{words.name} {words.ns}: {unknown(kind, wanted, known)}")
    return state - facts


def _with(state: State, fact: Fact) -> State:
    """The state with a fact in the place of the one that has its key."""
    return frozenset(one for one in state if one.key != fact.key) | {fact}


def _delete_rule(state: State, words: Words) -> State:
    """All rules of a priority, or those of them that the options name."""
    priority = words.number("the priority")
    options = words.options("from", "to", "lookup", "iif")
    rules = _all(state, words.ns, Rule)
    gone = [
        rule for rule in rules if rule.priority == priority and _rule_has(rule, words, options)
    ]
    known = {str(rule.priority) for rule in rules}
    return _without(state, words, gone, str(priority), known)


def _rule_has(rule: Rule, words: Words, options: Mapping[str, str]) -> bool:
    """Whether a rule has what the options say."""
    said = _rule(words, rule.priority, {"lookup": str(rule.table), **options})
    has = {"from": "src", "to": "dst", "lookup": "table", "iif": "iif"}
    return all(getattr(rule, has[name]) == getattr(said, has[name]) for name in options)


def _add_rule(state: State, words: Words) -> State:
    """A rule; like `ip rule add`, which takes equal ones too."""
    priority = words.number("the priority")
    options = words.options("from", "to", "fwmark", "iif", "lookup")
    if "lookup" not in options:
        raise UsageError(f"{words.name} {words.ns}: 'lookup TABLE' is missing")
    return state | {_rule(words, priority, options)}


def _rule(words: Words, priority: int, options: Mapping[str, str]) -> Rule:
    mark, mask = words.mark(options["fwmark"]) if "fwmark" in options else (0, 0)
    return Rule(
        ns=words.ns,
        priority=priority,
        src=words.as_network("from", options.get("from", "all")),
        dst=words.as_network("to", options.get("to", "all")),
        fwmark=mark,
        fwmask=mask,
        iif=options.get("iif", ""),
        table=words.table(options["lookup"]),
        why=WHY,
    )


def _delete_route(state: State, words: Words) -> State:
    """A table's routes to a network."""
    dst = words.network("the destination")
    options = words.options("table", "metric", "dev")
    table = words.table(options.get("table", "main"))
    routes = [route for route in _all(state, words.ns, Route) if route.table == table]
    gone = [
        route
        for route in routes
        if route.dst == dst
        and route.dev == options.get("dev", route.dev)
        and ("metric" not in options or route.metric == words.metric(options["metric"]))
    ]
    return _without(state, words, gone, str(dst), {show(route) for route in routes})


def _add_route(state: State, words: Words) -> State:
    """A route in the place of one to the same network with the same metric."""
    kind = words.left.pop(0) if words.left and words.left[0] in KINDS_OF_ROUTE else "unicast"
    dst = words.network("the destination")
    options = words.options("via", "dev", "table", "metric", "src")
    devices = _links(state, words.ns)
    dev = options.get("dev", "")
    if (kind == "unicast") != bool(dev):
        raise UsageError(f"{words.name} {words.ns}: 'dev DEVICE' goes with a unicast route")
    if dev and dev not in devices:
        raise UsageError(f"{words.name} {words.ns}: {unknown('device', dev, devices)}")
    via, src = (
        words.as_address(name, options[name]) if name in options else None
        for name in ("via", "src")
    )
    route = Route(
        ns=words.ns,
        kind=kind,
        dst=dst,
        dev=dev,
        via=via,
        src=src,
        scope="link" if dev and via is None else "global",
        table=words.table(options.get("table", "main")),
        metric=words.metric(options.get("metric", "0")),
        why=WHY,
    )
    return _with(state, route)


def _set_sysctl(state: State, words: Words) -> State:
    name, value = words.take("the name"), words.take("the value")
    words.done()
    known = {one.name for one in _all(state, words.ns, Sysctl)}
    if not name.startswith("net."):
        raise UsageError(f"{words.name} {words.ns}: {unknown('sysctl', name, known)}")
    return _with(state, Sysctl(ns=words.ns, name=name, value=value, why=WHY))


def _set_link(state: State, words: Words) -> State:
    """A link up or down, which the routes by it go with, or of another MTU."""
    name, wanted = words.take("the link"), words.take("up, down or mtu")
    mtu = _mtu(words) if wanted == "mtu" else 0
    words.done()
    links = _links(state, words.ns)
    if name not in links:
        raise UsageError(f"{words.name} {words.ns}: {unknown('link', name, links)}")
    if mtu:
        return _with(state, replace(links[name], mtu=mtu, why=WHY))
    if wanted not in ("up", "down"):
        raise words.wrong("the link's state", "up, down or mtu", wanted)
    lost = {route for route in _all(state, words.ns, Route) if route.dev == name}
    changed = _with(state, replace(links[name], up=wanted == "up", why=WHY))
    return changed - lost if wanted == "down" else changed


def _mtu(words: Words) -> int:
    size = words.number("the MTU")
    if not SIZES[0] <= size <= SIZES[1]:
        raise words.wrong("the MTU", f"{SIZES[0]} to {SIZES[1]} bytes", str(size))
    return size


def _delete_neighbour(state: State, words: Words) -> State:
    ip, dev = words.address("the address"), words.options("dev").get("dev", "")
    known = _all(state, words.ns, Neighbour)
    gone = [one for one in known if one.ip == ip and dev in ("", one.dev)]
    return _without(state, words, gone, str(ip), {str(one.ip) for one in known})


def _delete_address(state: State, words: Words) -> State:
    """An address; the route to its subnet goes with the last one there."""
    ip = words.address("the address")
    dev = words.options("dev").get("dev", "")
    known = _all(state, words.ns, Address)
    gone = {one for one in known if one.ip.ip == ip and dev in ("", one.dev)}
    left = {(one.dev, one.ip.network) for one in known if one not in gone}
    subnets = {(one.dev, one.ip.network) for one in gone} - left
    routes = {
        route
        for route in _all(state, words.ns, Route)
        if route.protocol == "kernel" and (route.dev, route.dst) in subnets
    }
    return _without(state, words, gone, str(ip), {str(one.ip.ip) for one in known}) - routes


def _delete_fdb(state: State, words: Words) -> State:
    mac = words.take("the MAC").lower()
    words.done()
    known = _all(state, words.ns, Fdb)
    gone = [one for one in known if one.mac == mac]
    return _without(state, words, gone, mac, {one.mac for one in known})


def _delete_element(state: State, words: Words) -> State:
    """An element of an nft set: `delete element vpc-main assigned node-1-e0 . 02:… . 10.0.1.4`."""
    name = words.take("the set")
    wanted, words.left = " ".join(words.left).replace('"', ""), []
    known = {
        one.element.replace('"', ""): one
        for one in _all(state, words.ns, NftElement)
        if one.set == name
    }
    gone = [known[wanted]] if wanted in known else []
    return _without(state, words, gone, wanted, set(known))


def _delete_chain_rule(state: State, words: Words) -> State:
    chain = _chain(state, words)
    number = words.number("the rule's number")
    words.done()
    if not 1 <= number <= len(chain.rules):
        raise UsageError(f"{words.name}: {chain.name} has {len(chain.rules)} rules, no {number}th")
    rules = chain.rules[: number - 1] + chain.rules[number:]
    return state - {chain} | {replace(chain, rules=rules)}


def _add_chain_rule(state: State, words: Words) -> State:
    """At the end of a chain, or where a number says."""
    chain = _chain(state, words)
    place = len(chain.rules)
    if words.left and words.left[0].isdigit():
        place = words.number("the rule's number") - 1
    text = " ".join(f'"{word}"' if " " in word else word for word in words.left)
    if not text:
        raise UsageError(f"{words.name} {words.ns}: the rule is missing")
    rules = (*chain.rules[:place], ChainRule(text, WHY), *chain.rules[place:])
    return state - {chain} | {replace(chain, rules=rules)}


def _chain(state: State, words: Words) -> Chain | NftChain:
    """A chain of iptables, or of nft; a built-in one of iptables is always there."""
    table, name = words.take("the table"), words.take("the chain")
    known: list[Chain | NftChain] = [*_all(state, words.ns, NftChain)]
    known += _all(state, words.ns, Chain)
    chains = {f"{one.table} {one.name}": one for one in known}
    found = chains.get(f"{table} {name}")
    if found is None and table in TABLES and name in BUILT_IN:
        return Chain(ns=words.ns, table=table, name=name)
    if found is None:
        raise UsageError(f"{words.name}: {unknown('chain', f'{table} {name}', chains)}")
    return found


_EDITS: Mapping[str, Callable[[State, Words], State]] = {
    "delete rule": _delete_rule,
    "delete route": _delete_route,
    "delete neighbour": _delete_neighbour,
    "delete address": _delete_address,
    "delete fdb": _delete_fdb,
    "delete element": _delete_element,
    "delete chain-rule": _delete_chain_rule,
    "add rule": _add_rule,
    "add route": _add_route,
    "add chain-rule": _add_chain_rule,
    "set sysctl": _set_sysctl,
    "set link": _set_link,
}
