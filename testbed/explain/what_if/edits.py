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
from collections.abc import Callable, Mapping

from testbed.description.problem import unknown
from testbed.errors import UsageError
from testbed.explain.what_if import chains, links, routing
from testbed.explain.what_if.words import Words
from testbed.net.facts import State

EDITS: Mapping[str, Callable[[State, Words], State]] = {
    "delete rule": routing.delete_rule,
    "delete route": routing.delete_route,
    "delete neighbour": links.delete_neighbour,
    "delete address": links.delete_address,
    "delete fdb": links.delete_fdb,
    "delete element": chains.delete_element,
    "delete chain-rule": chains.delete_chain_rule,
    "add rule": routing.add_rule,
    "add route": routing.add_route,
    "add chain-rule": chains.add_chain_rule,
    "set sysctl": links.set_sysctl,
    "set link": links.set_link,
}


def edited(state: State, edit: str) -> State:
    """The state after one edit.

    Raises UsageError: words that no edit has, a namespace or a thing that is not there.
    """
    try:
        verb, kind, ns, *words = shlex.split(edit)
    except ValueError:
        raise UsageError(f"'{edit}': say a verb, a kind, a namespace, and which one") from None
    name = f"{verb} {kind}"
    if name not in EDITS:
        raise UsageError(unknown("edit", name, EDITS))
    namespaces = {fact.ns for fact in state}
    if ns not in namespaces:
        raise UsageError(unknown("namespace", ns, namespaces))
    return EDITS[name](state, Words(name, ns, words))
