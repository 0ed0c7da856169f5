"""A node's rules and sysctls, as facts have them."""

from testbed.net.facts import Fact, Rule, Sysctl
from testbed.net.show import show


def rules(found: frozenset[Fact]) -> list[str]:
    """As `ip rule` prints them, without the kernel's own three."""
    own = [fact for fact in found if isinstance(fact, Rule)]
    in_order = sorted(own, key=lambda rule: (rule.priority, rule.dst, rule.src))
    return [show(rule).replace(":\t", ": ") for rule in in_order]


def sysctls(found: frozenset[Fact]) -> dict[str, str]:
    return {fact.name: fact.value for fact in found if isinstance(fact, Sysctl)}
