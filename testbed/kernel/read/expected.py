"""What is likely to be found in namespaces: it helps to read them.  Needs CAP_SYS_ADMIN."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, cast

from testbed.kernel.rules import alike
from testbed.net.facts import Chain, Fact

AnyFact = TypeVar("AnyFact", bound=Fact)
ByKind = Mapping[type[Fact], Sequence[Fact]]


@dataclass(frozen=True)
class Expected:
    """What helps to read: the sysctls to ask for, the rules and dumps to recognise.

    whole: the facts are all that is planned, with the routes the kernel adds; of kinds of which
    just these are found nothing is told but that.
    """

    facts: Mapping[str, ByKind]
    original: alike.Original | None
    whole: bool = False

    @classmethod
    def of(cls, facts: Mapping[str, ByKind], *, whole: bool = False) -> "Expected":
        """Where no chains but these are found, no program is started to read them."""
        expected = cls(facts, None, whole)
        chains = (chain for ns in facts for chain in expected.of_kind(Chain, ns))
        return replace(expected, original=alike.original_of(chains))

    def of_kind(self, kind: type[AnyFact], ns: str) -> Sequence[AnyFact]:
        """What is expected of a kind in a namespace."""
        return cast(Sequence[AnyFact], self.facts.get(ns, {}).get(kind, ()))


def by_kind(facts: Iterable[Fact]) -> dict[str, ByKind]:
    """These facts by namespace, and there by kind."""
    gathered: dict[str, dict[type[Fact], list[Fact]]] = defaultdict(lambda: defaultdict(list))
    for fact in facts:
        gathered[fact.ns][type(fact)].append(fact)
    return {ns: dict(kinds) for ns, kinds in gathered.items()}
