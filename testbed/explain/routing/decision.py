"""What a lookup of a route came to: the rule, the route, and what they mean in the VPC."""

from dataclasses import dataclass

from testbed.explain import fabric
from testbed.explain.journey import FabricStep, RoutingStep
from testbed.net.facts import Route, Rule
from testbed.net.show import show, table_name


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a lookup.

    kind: of the route: unicast, local, broadcast, blackhole, unreachable, prohibit; `none` where
    no rule leads to one; `unknown` where something that no fact describes may decide.
    """

    kind: str
    step: RoutingStep
    rule: Rule | None = None
    route: Route | None = None
    dev: str = ""
    via: int = 0  # 0: the destination is on the link
    fabric: tuple[FabricStep, ...] = ()  # the same in the VPC's words

    @property
    def to_anywhere(self) -> bool:
        """Whether the route is one for all destinations that no other route is for."""
        return self.route is not None and self.route.dst.prefixlen == 0

    def next_hop(self, destination: int) -> int:
        """Whose MAC the frame gets."""
        return self.via or destination


REFUSING = ("blackhole", "unreachable", "prohibit")
_KNOWN = ("unicast", "local", "broadcast", *REFUSING)

NONE = Decision("none", RoutingStep(rule="", table="", route="no route", dev=""))


def unknown(what: str) -> Decision:
    """What becomes of a packet is not known: something decides that no fact describes."""
    return Decision("unknown", RoutingStep(rule="", table="", route=what, dev=""))


def decided(rule: Rule, route: Route, passed: Route | None) -> Decision:
    """What a rule and the route it led to decide.  passed: the last route of type throw before."""
    if route.kind not in _KNOWN:
        return unknown(f"a route of type {route.kind}")
    step = RoutingStep(
        rule=show(rule).replace("\t", " "),
        table=table_name(route.table),
        route=show(route),
        dev=route.dev,
        next_hop=str(route.via or ""),
        why=route.why or rule.why,
    )
    return Decision(
        route.kind,
        step,
        rule,
        route,
        dev=route.dev,
        via=int(route.via) if route.via else 0,
        fabric=fabric.routed(rule, route, passed),
    )
