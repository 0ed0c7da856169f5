"""Edits of links and of what belongs to one: its settings, addresses, neighbours."""

from dataclasses import replace

from testbed.description.problem import unknown
from testbed.errors import UsageError
from testbed.explain.journey import SIZES
from testbed.explain.what_if.states import WHY, facts_of, links_of, replaced, without
from testbed.explain.what_if.words import Words
from testbed.net.facts import Address, Fdb, Neighbour, Route, State, Sysctl


def set_sysctl(state: State, words: Words) -> State:
    """A setting of the network, `net.`, with another value."""
    name, value = words.take("the name"), words.take("the value")
    words.done()
    known = {one.name for one in facts_of(state, words.ns, Sysctl)}
    if not name.startswith("net."):
        raise UsageError(f"{words.name} {words.ns}: {unknown('sysctl', name, known)}")
    return replaced(state, Sysctl(ns=words.ns, name=name, value=value, why=WHY))


def set_link(state: State, words: Words) -> State:
    """A link up or down, which the routes by it go with, or of another MTU."""
    name, wanted = words.take("the link"), words.take("up, down or mtu")
    mtu = _mtu(words) if wanted == "mtu" else 0
    words.done()
    links = links_of(state, words.ns)
    if name not in links:
        raise UsageError(f"{words.name} {words.ns}: {unknown('link', name, links)}")
    if mtu:
        return replaced(state, replace(links[name], mtu=mtu, why=WHY))
    if wanted not in ("up", "down"):
        raise words.wrong("the link's state", "up, down or mtu", wanted)
    lost = {route for route in facts_of(state, words.ns, Route) if route.dev == name}
    changed = replaced(state, replace(links[name], up=wanted == "up", why=WHY))
    return changed - lost if wanted == "down" else changed


def _mtu(words: Words) -> int:
    size = words.number("the MTU")
    if not SIZES[0] <= size <= SIZES[1]:
        raise words.wrong("the MTU", f"{SIZES[0]} to {SIZES[1]} bytes", str(size))
    return size


def delete_neighbour(state: State, words: Words) -> State:
    """What is known of an address, on one device or on any."""
    ip, dev = words.address("the address"), words.options("dev").get("dev", "")
    known = facts_of(state, words.ns, Neighbour)
    gone = [one for one in known if one.ip == ip and dev in ("", one.dev)]
    return without(state, words, gone, str(ip), {str(one.ip) for one in known})


def delete_address(state: State, words: Words) -> State:
    """An address; the route to its subnet goes with the last one there."""
    ip = words.address("the address")
    dev = words.options("dev").get("dev", "")
    known = facts_of(state, words.ns, Address)
    gone = {one for one in known if one.ip.ip == ip and dev in ("", one.dev)}
    left = {(one.dev, one.ip.network) for one in known if one not in gone}
    subnets = {(one.dev, one.ip.network) for one in gone} - left
    routes = {
        route
        for route in facts_of(state, words.ns, Route)
        if route.protocol == "kernel" and (route.dev, route.dst) in subnets
    }
    return without(state, words, gone, str(ip), {str(one.ip.ip) for one in known}) - routes


def delete_fdb(state: State, words: Words) -> State:
    """A bridge's entries for a MAC."""
    mac = words.take("the MAC").lower()
    words.done()
    known = facts_of(state, words.ns, Fdb)
    gone = [one for one in known if one.mac == mac]
    return without(state, words, gone, mac, {one.mac for one in known})
