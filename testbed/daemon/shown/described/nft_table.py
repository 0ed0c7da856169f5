"""What a Service has in kube-proxy's table of nftables, beside what is there now.  Pure."""

from collections.abc import Iterable, Iterator
from typing import Any

from testbed.net.facts import Fact, Key, NftChain, NftElement

Row = dict[str, Any]


def table_rows(planned: Iterable[Fact], found: Iterable[Fact]) -> Iterator[Row]:
    """Its elements, map by map, then its chains; of each what was found.

    An element that leads elsewhere than planned is shown as it is.
    """
    facts, kernel = tuple(planned), {fact.key: fact for fact in found}
    elements: dict[tuple[str, str], list[Row]] = {}
    for fact in facts:
        if isinstance(fact, NftElement):
            rows = elements.setdefault((fact.table, fact.set), [])
            there = kernel.get(fact.key)
            if isinstance(there, NftElement):
                why = fact.why if there == fact else ""
                rows.append({"text": _text(there), "why": why})
    for (table, name), rows in elements.items():
        yield {"table": table, "name": name, "rules": rows}
    for fact in facts:
        if isinstance(fact, NftChain):
            yield {"table": fact.table, "name": fact.name, "rules": _rules(fact, kernel)}


def _rules(planned: NftChain, found: dict[Key, Fact]) -> list[Row]:
    there = found.get(planned.key)
    reasons = {rule.text: rule.why for rule in planned.rules}
    rules = there.rules if isinstance(there, NftChain) else ()
    return [{"text": rule.text, "why": reasons.get(rule.text, "")} for rule in rules]


def _text(element: NftElement) -> str:
    return f"{element.element} : {element.value}" if element.value else element.element
