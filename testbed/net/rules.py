"""Which `ip rule` a packet meets."""

from collections.abc import Iterable

from testbed.net.facts import ANYWHERE, IpAddress, Rule


def selects(
    rule: Rule, destination: IpAddress, *, source: IpAddress | None, iif: str, mark: int
) -> bool:
    """Whether a rule's selector takes this packet; one without a source is not yet bound."""
    if rule.iif and rule.iif != (iif or "lo"):  # ip-rule(8): what a host sends has iif lo
        return False
    if (mark ^ rule.fwmark) & rule.fwmask:
        return False
    if rule.src != ANYWHERE and (source is None or source not in rule.src):
        return False
    return destination in rule.dst


def leading_to(
    table: int,
    rules: Iterable[Rule],
    destination: IpAddress,
    *,
    source: IpAddress | None,
    iif: str,
    mark: int,
) -> Rule | None:
    """The first rule of this packet that leads to the table in which its route was found."""
    taken = (
        rule
        for rule in rules
        if rule.table == table and selects(rule, destination, source=source, iif=iif, mark=mark)
    )
    return min(taken, key=lambda rule: rule.priority, default=None)
