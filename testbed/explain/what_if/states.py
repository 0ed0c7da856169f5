"""What edits look up in a state, and how they change it."""

from collections.abc import Collection, Iterable
from typing import TypeVar

from testbed.description.problem import unknown
from testbed.errors import UsageError
from testbed.explain.what_if.words import Words
from testbed.net.facts import Bridge, Fact, State, Veth

AnyFact = TypeVar("AnyFact", bound=Fact)
WHY = "what if"


def facts_of(state: State, ns: str, kind: type[AnyFact]) -> list[AnyFact]:
    """The facts of a kind in a namespace."""
    return [fact for fact in state if isinstance(fact, kind) and fact.ns == ns]


def links_of(state: State, ns: str) -> dict[str, Veth | Bridge]:
    """The links of a namespace by their names."""
    links: list[Veth | Bridge] = [*facts_of(state, ns, Veth), *facts_of(state, ns, Bridge)]
    return {link.name: link for link in links}


def without(
    state: State, words: Words, gone: Iterable[Fact], wanted: str, known: Collection[str]
) -> State:
    """The state without what an edit names.  Raises UsageError when that is nothing."""
    facts = frozenset(gone)
    if not facts:
        kind = words.name.split()[1]
        raise UsageError(f"{words.name} {words.ns}: {unknown(kind, wanted, known)}")
    return state - facts


def replaced(state: State, fact: Fact) -> State:
    """The state with a fact in the place of the one that has its key."""
    return frozenset(one for one in state if one.key != fact.key) | {fact}
