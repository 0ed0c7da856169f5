"""Edits of rule sets: the rules of a chain, the elements of a set."""

from dataclasses import replace

from testbed.description.problem import unknown
from testbed.errors import UsageError
from testbed.explain.what_if.states import WHY, facts_of, without
from testbed.explain.what_if.words import Words
from testbed.net.facts import Chain, ChainRule, NftChain, NftElement, State
from testbed.net.netfilter.iptables import BUILT_IN, TABLES


def delete_element(state: State, words: Words) -> State:
    """An element of an nft set: `delete element vpc-main assigned node-1-e0 . 02:… . 10.0.1.4`."""
    name = words.take("the set")
    wanted, words.left = " ".join(words.left).replace('"', ""), []
    known = {
        one.element.replace('"', ""): one
        for one in facts_of(state, words.ns, NftElement)
        if one.set == name
    }
    gone = [known[wanted]] if wanted in known else []
    return without(state, words, gone, wanted, set(known))


def delete_chain_rule(state: State, words: Words) -> State:
    """The chain without its rule of that number, from 1."""
    chain = _chain(state, words)
    number = words.number("the rule's number")
    words.done()
    if not 1 <= number <= len(chain.rules):
        raise UsageError(f"{words.name}: {chain.name} has {len(chain.rules)} rules, no {number}th")
    rules = chain.rules[: number - 1] + chain.rules[number:]
    return state - {chain} | {replace(chain, rules=rules)}


def add_chain_rule(state: State, words: Words) -> State:
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
    known: list[Chain | NftChain] = [*facts_of(state, words.ns, NftChain)]
    known += facts_of(state, words.ns, Chain)
    chains = {f"{one.table} {one.name}": one for one in known}
    found = chains.get(f"{table} {name}")
    if found is None and table in TABLES and name in BUILT_IN:
        return Chain(ns=words.ns, table=table, name=name)
    if found is None:
        raise UsageError(f"{words.name}: {unknown('chain', f'{table} {name}', chains)}")
    return found
