"""Chains of rules made ready to be walked: conditions as tests, actions with what they read."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from testbed.explain import fabric
from testbed.explain.journey import Header, NetfilterStep
from testbed.explain.netfilter.conditions import (
    REMEMBERED,
    Action,
    Chance,
    Condition,
    Continue,
    Field,
    Jump,
    Lookup,
    Matches,
    NotUnderstood,
    ParsedRule,
    Range,
    Reject,
    SetField,
    Translate,
    Verdict,
)
from testbed.explain.netfilter.iptables import text as iptables_text
from testbed.explain.netfilter.matching import Elements, Surroundings, Test, getter, reads, test
from testbed.explain.netfilter.nft import text as nft_text
from testbed.explain.packet import Packet, address
from testbed.net.facts import Chain, NftChain

FINAL = (Verdict, Jump, Reject, Lookup)
UNCHANGING = (*FINAL, Continue, NotUnderstood)

Find = Callable[[Packet], Any]  # what a set or map has for a packet; None for nothing


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule ready to be asked.

    tests: each with the attributes of a packet that it looks at.  chances: of the outcomes of its
    random choice, where it makes one.  unknown: what of it is not understood.  changes: what it
    does to the packet.  final: what then becomes of it.  mapped: the value of its map.
    fabric: the step of the VPC that it is, if it is one; element: of the set that says so.
    """

    tests: tuple[tuple[frozenset[str], Test], ...]
    chances: tuple[float, ...]
    unknown: str
    changes: tuple[Action, ...]
    final: Action
    step: NetfilterStep
    mapped: Find | None
    fabric: str
    element: Find | None


class CompiledChain:
    """The rules of a chain; two chains are never equal."""

    __slots__ = ("rules",)

    def __init__(self, rules: Sequence[CompiledRule]) -> None:
        self.rules = rules


def compiled(chain: Chain | NftChain, around: Surroundings) -> CompiledChain:
    """A chain's fact, ready to be walked."""
    if isinstance(chain, Chain):
        family, parse = "ip", iptables_text.parse
    else:
        family, parse = chain.family, nft_text.parse
    rules = []
    for rule in chain.rules:
        step = NetfilterStep(
            family=family,
            table=chain.table,
            chain=chain.name,
            rule=rule.text,
            verdict="",
            why=rule.why or chain.why,
        )
        parsed = _without_repetition(parse(rule.text), family)
        rules.append(_compiled_rule(parsed, step, around))
    return CompiledChain(rules)


ANY_CHAIN = "*"  # that a map may lead to
_ETHERTYPE = frozenset({"ethertype"})
_IPV4 = Packet(Header(protocol="tcp", source=address(0), destination=address(0)))


def rule_reads(rule: CompiledRule) -> tuple[frozenset[str], str]:
    """What a rule looks at of an IPv4 packet, and the chain that it may lead to, if any."""
    found = frozenset[str]()
    for fields, takes in rule.tests:
        found |= fields
        if fields == _ETHERTYPE and not takes(_IPV4):
            return found, ""
    if isinstance(rule.final, Lookup):
        return found, ANY_CHAIN
    return found, rule.final.chain if isinstance(rule.final, Jump) else ""


def _without_repetition(parsed: ParsedRule, family: str) -> ParsedRule:
    """Each condition once, and none that is always true: all packets of family ip are IPv4."""
    conditions = dict.fromkeys(parsed.conditions)
    if family == "ip":
        conditions.pop(_IS_IPV4, None)
    return ParsedRule(tuple(conditions), parsed.actions)


[_IS_IPV4] = nft_text.parse("ether type ip accept").conditions


def _compiled_rule(parsed: ParsedRule, step: NetfilterStep, around: Surroundings) -> CompiledRule:
    parsed = _with_chances(parsed, around)
    tests = [(condition, test(condition, around)) for condition in parsed.conditions]
    unknown = [what for condition, made in tests if made is None for what in _unknown(condition)]
    unknown += [action.text for action in parsed.actions if isinstance(action, NotUnderstood)]
    fields, mapped = _mapped(parsed.actions, around)
    if fields and mapped is None:
        unknown.append(f"a map that packets change, or that is not there: {step.rule}")
    named = [one for one in parsed.conditions if isinstance(one, Matches) and one.set]
    step = replace(step, verdict=verdict_text(parsed.actions))
    role = fabric.name_of(step)
    return CompiledRule(
        tests=(
            *((frozenset(reads(condition)), made) for condition, made in tests if made),
            *_has_entry(fields, mapped),
        ),
        chances=_chances(parsed),
        unknown=unknown[0] if unknown else "",
        changes=tuple(one for one in parsed.actions if not isinstance(one, UNCHANGING)),
        final=_final(parsed.actions),
        step=step,
        mapped=mapped,
        fabric=role,
        element=_finder(named[-1].fields, around.elements(named[-1].set)) if named else None,
    )


def _with_chances(parsed: ParsedRule, around: Surroundings) -> ParsedRule:
    """Where packets fill a set, who is in it is not known: both ways are followed."""
    conditions = tuple(
        REMEMBERED if isinstance(one, Matches) and around.remembers(one.set) else one
        for one in parsed.conditions
    )
    return ParsedRule(conditions, parsed.actions)


def _unknown(condition: Condition) -> Iterator[str]:
    """Why a condition has no test; chance is no reason."""
    match condition:
        case NotUnderstood(text):
            yield text
        case Matches(set=name):
            yield f"match @{name}: there is no such set"


def _chances(parsed: ParsedRule) -> tuple[float, ...]:
    """How often the rule takes a packet and how often not; or of each number that it draws."""
    for condition in parsed.conditions:
        if isinstance(condition, Chance) and condition.probability < 1:
            return condition.probability, 1 - condition.probability
    for action in parsed.actions:
        if isinstance(action, Lookup) and action.draw:
            return (1 / action.draw,) * action.draw
    return ()


def _mapped(
    actions: Iterable[Action], around: Surroundings
) -> tuple[tuple[Field, ...], Find | None]:
    """The fields that a rule looks up in a map, and how; with `numgen` the number drawn."""
    for action in actions:
        if not isinstance(action, Lookup | Translate | SetField):
            continue
        own = () if isinstance(action, SetField) else action.elements
        if action.map or own:
            elements: Elements[Any] | None = Elements(own) if own else around.elements(action.map)
            return action.fields, _finder(action.fields, elements)
    return (), None


def _finder(fields: tuple[Field, ...], elements: Elements[Any] | None) -> Find | None:
    if elements is None:
        return None
    find = elements.find
    if not fields:
        return find  # of a number, not of a packet
    get = getter(fields)
    return lambda packet: find(get(packet))


def _has_entry(
    fields: tuple[Field, ...], mapped: Find | None
) -> Iterator[tuple[frozenset[str], Test]]:
    """A rule whose map has nothing for a packet does not take it: nft's NFT_BREAK."""
    if fields and mapped is not None:
        yield frozenset(one.name for one in fields), lambda packet: mapped(packet) is not None


def _final(actions: Sequence[Action]) -> Action:
    """What becomes of the packet: a translated one is accepted."""
    last = actions[-1] if actions else Continue()
    if any(isinstance(action, Translate) for action in actions):
        return Verdict("accept")
    return last if isinstance(last, FINAL) else Continue()


def verdict_text(actions: Sequence[Action]) -> str:
    """`jump KUBE-SERVICES`, `dnat to 10.0.1.6:80`, `continue`."""
    match actions[-1] if actions else None:
        case Verdict(word):
            return word
        case Jump(chain, goto):
            return f"{'goto' if goto else 'jump'} {chain}"
        case Reject():
            return "reject"
        case Translate(side=side, address=int(to), ports=ports):
            return translation_text(side, to, ports)
        case _:
            return "continue"


def translation_text(side: str, to: int, ports: Range | None) -> str:
    """`snat to 10.0.1.4`, with the port where there is just one."""
    port = f":{ports.first}" if ports and ports.first == ports.last else ""
    return f"{'snat' if side == 'source' else 'dnat'} to {address(to)}{port}"
