"""Edits of rules and routes, as `ip rule` and `ip route` make them."""

from collections.abc import Mapping

from testbed.description.problem import unknown
from testbed.errors import UsageError
from testbed.explain.what_if.states import WHY, facts_of, links_of, replaced, without
from testbed.explain.what_if.words import Words
from testbed.net.facts import Route, Rule, State
from testbed.net.show import show

KINDS_OF_ROUTE = ("unicast", "blackhole", "unreachable", "prohibit", "throw")


def delete_rule(state: State, words: Words) -> State:
    """All rules of a priority, or those of them that the options name."""
    priority = words.number("the priority")
    options = words.options("from", "to", "lookup", "iif")
    rules = facts_of(state, words.ns, Rule)
    gone = [
        rule for rule in rules if rule.priority == priority and _rule_has(rule, words, options)
    ]
    known = {str(rule.priority) for rule in rules}
    return without(state, words, gone, str(priority), known)


def _rule_has(rule: Rule, words: Words, options: Mapping[str, str]) -> bool:
    """Whether a rule has what the options say."""
    said = _rule(words, rule.priority, {"lookup": str(rule.table), **options})
    has = {"from": "src", "to": "dst", "lookup": "table", "iif": "iif"}
    return all(getattr(rule, has[name]) == getattr(said, has[name]) for name in options)


def add_rule(state: State, words: Words) -> State:
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


def delete_route(state: State, words: Words) -> State:
    """A table's routes to a network."""
    dst = words.network("the destination")
    options = words.options("table", "metric", "dev")
    table = words.table(options.get("table", "main"))
    routes = [route for route in facts_of(state, words.ns, Route) if route.table == table]
    gone = [
        route
        for route in routes
        if route.dst == dst
        and route.dev == options.get("dev", route.dev)
        and ("metric" not in options or route.metric == words.metric(options["metric"]))
    ]
    return without(state, words, gone, str(dst), {show(route) for route in routes})


def add_route(state: State, words: Words) -> State:
    """A route in the place of one to the same network with the same metric."""
    kind = words.left.pop(0) if words.left and words.left[0] in KINDS_OF_ROUTE else "unicast"
    dst = words.network("the destination")
    options = words.options("via", "dev", "table", "metric", "src")
    devices = links_of(state, words.ns)
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
    return replaced(state, route)
