"""Translations a packet meets, read from the lab's own chains: CNI, kubenet, NAT and gateways.

A small part of netfilter: the destination matches and targets of the CNI's own chains, kubenet's
rule, the maps of the gateways.  Replies and Services are not looked at.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, ip_network

from testbed.net.facts import Chain, ChainRule, IpAddress, NftChain, NftElement, State

DESTINATION = re.compile(r"^(?P<not>! )?-d (?P<network>\S+)")
TARGET = re.compile(r"-j (?P<target>\S+)(?: (?P<options>.*))?$")
CONNMARK = re.compile(r"--set-xmark (0x[0-9a-f]+)/")
TO_SOURCE = re.compile(r"(?:--to-source|snat to) ([0-9.]+)")


class Translations:
    """The translating chains and maps of a plan, by namespace; made once for many questions."""

    def __init__(self, plan: State) -> None:
        self._chains = {
            (fact.ns, fact.name): fact.rules
            for fact in plan
            if isinstance(fact, Chain) and fact.table == "nat"
        }
        self._gateways = {
            fact.ns: [rule.text for rule in fact.rules]
            for fact in plan
            if isinstance(fact, NftChain) and fact.hook.startswith("type nat hook postrouting")
        }
        self._maps: dict[tuple[str, str], dict[str, str]] = {}
        for fact in plan:
            if isinstance(fact, NftElement) and fact.value:
                self._maps.setdefault((fact.ns, fact.set), {})[fact.element] = fact.value

    def mark(self, ns: str, iif: str, destination: IpAddress) -> int:
        """The mark nat PREROUTING gives a pod's packet that will be translated; else 0."""
        for rule in self._chains.get((ns, "PREROUTING"), ()):
            enters = re.match(r"-i (\S+)\+ .*-j AWS-CONNMARK-CHAIN-0$", rule.text)
            if enters and iif.startswith(enters[1]):
                _, options = self._ending(ns, "AWS-CONNMARK-CHAIN-0", destination)
                marked = CONNMARK.search(options)
                return int(marked[1], 16) if marked else 0
        return 0

    def source(
        self, ns: str, source: IpAddress, destination: IpAddress, out: IpAddress | None
    ) -> IpAddress:
        """The source a packet leaves a namespace with; `out`: the address of the link it takes."""
        if (public := self._map(ns, "egress").get(str(source))) is not None:
            return IPv4Address(public)
        for rule in self._gateways.get(ns, ()):
            if to := TO_SOURCE.search(rule):
                return IPv4Address(to[1])
        target, options = self._ending(ns, "AWS-SNAT-CHAIN-0", destination)
        translated = TO_SOURCE.search(options) if target == "SNAT" else None
        if translated:
            return IPv4Address(translated[1])
        return out if out and self._masquerades(ns, destination) else source

    def destination(self, ns: str, destination: IpAddress) -> IpAddress:
        """The destination a packet is routed by in a namespace."""
        private = self._map(ns, "ingress").get(str(destination))
        return IPv4Address(private) if private else destination

    def _masquerades(self, ns: str, destination: IpAddress) -> bool:
        """Whether a rule of POSTROUTING itself does: kubenet's, which looks for no mark."""
        return any(
            rule.text.endswith("-j MASQUERADE") and _matches(rule, destination)
            for rule in self._chains.get((ns, "POSTROUTING"), ())
        )

    def _map(self, ns: str, name: str) -> Mapping[str, str]:
        return self._maps.get((ns, name), {})

    def _ending(self, ns: str, chain: str, destination: IpAddress) -> tuple[str, str]:
        """Target and options of the rule that ends the walk through a chain; empty for none."""
        for rule in self._chains.get((ns, chain), ()):
            target = TARGET.search(rule.text)
            if target is None or not _matches(rule, destination):
                continue
            if (ns, target["target"]) in self._chains:
                return self._ending(ns, target["target"], destination)
            return target["target"], target["options"] or ""
        return "", ""


def _matches(rule: ChainRule, destination: IpAddress) -> bool:
    condition = DESTINATION.match(rule.text)
    if condition is None:
        return True
    return (destination in ip_network(condition["network"])) != bool(condition["not"])
