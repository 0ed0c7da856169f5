"""What one port of a Service has in the table: elements that lead to it, and chains of its own.

service-…   any endpoint: what the ClusterIP leads to     local-…      one of the node itself
external-…  what comes from outside: which of both        firewall-…   who may not call
endpoint-…  the translation; affinity-… is the set of its clients
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address

from testbed.kubernetes.kube_proxy import KubeProxy
from testbed.net.facts import ChainRule, Fact, NftSet
from testbed.services.endpoints import Backend
from testbed.services.kube_proxy.choice import Chosen, choose
from testbed.services.kube_proxy.nftables import static
from testbed.services.kube_proxy.nftables.names import endpoint_base, port_base
from testbed.services.kube_proxy.nftables.spelling import duration, networks, pods_match
from testbed.services.kube_proxy.ports import ProxiedPort
from testbed.services.kube_proxy.rules import ProxyNode

MASQUERADE = f"jump {static.MARK_MASQUERADE}"


def port_facts(port: ProxiedPort, proxy: KubeProxy, node: ProxyNode) -> Iterator[Fact]:
    """The elements, chains and sets of a port on a node."""
    yield from _Port(port, proxy, node).facts()


@dataclass(frozen=True)
class _Port:
    """A port on a node, with the names of its chains and the endpoints it may take there."""

    port: ProxiedPort
    proxy: KubeProxy
    node: ProxyNode

    @cached_property
    def chosen(self) -> Chosen:
        return choose(self.port, self.node)

    @cached_property
    def base(self) -> str:
        return port_base(self.port)

    @property
    def inner(self) -> str:
        """The chain that the ClusterIP leads to."""
        return f"{'local' if self.port.internal_local else 'service'}-{self.base}"

    @property
    def has_inner(self) -> bool:
        return self.chosen.anywhere and bool(self.chosen.local or not self.port.internal_local)

    @property
    def refuses_outside(self) -> bool:
        """Whether somebody from outside finds no endpoint: there is none, or none on this node."""
        alone = self.port.external_local and not self.chosen.local
        return not self.chosen.anywhere or alone

    @property
    def is_guarded(self) -> bool:
        return bool(self.port.load_balancer_ips and self.port.source_ranges)

    def facts(self) -> Iterator[Fact]:
        yield self._element(static.CLUSTER_IPS, str(self.port.cluster_ip))
        yield from self._destinations()
        if self.chosen.anywhere and self.port.externally_accessible:
            yield self._chain(f"external-{self.base}", self._from_outside())
        if self.is_guarded:
            yield self._chain(f"firewall-{self.base}", self._clients())
        for kind, to in (("service", self.chosen.cluster), ("local", self.chosen.local)):
            if to:
                name = f"{kind}-{self.base}"
                yield self._chain(name, (*self._not_from_pods(name), *self._spread(to)))
        for backend in dict.fromkeys((*self.chosen.cluster, *self.chosen.local)):
            yield from self._endpoint(backend)

    def _destinations(self) -> Iterator[Fact]:
        """The elements of the maps: whose packet is it, and is there anybody to take it?"""
        called = self._at(self.port.cluster_ip)
        if self.has_inner:
            yield self._element(static.SERVICE_IPS, called, f"goto {self.inner}")
        else:
            yield self._refusal(static.NO_ENDPOINT_SERVICES, called)
        for address in (*self.port.external_ips, *self.port.load_balancer_ips):
            maps = static.SERVICE_IPS, static.NO_ENDPOINT_SERVICES
            yield from self._outer(*maps, self._at(address))
        for address in self.port.load_balancer_ips if self.is_guarded else ():
            to = f"goto firewall-{self.base}"
            yield self._element(static.FIREWALL_IPS, self._at(address), to)
        if self.port.node_port:
            called = f"{self.port.protocol} . {self.port.node_port}"
            yield from self._outer(static.NODE_PORTS, static.NO_ENDPOINT_NODE_PORTS, called)

    def _outer(self, served: str, refused: str, called: str) -> Iterator[Fact]:
        if self.chosen.anywhere:
            yield self._element(served, called, f"goto external-{self.base}")
        if self.refuses_outside:
            yield self._refusal(refused, called)

    def _at(self, address: IPv4Address) -> str:
        return f"{address} . {self.port.protocol} . {self.port.port}"

    def _element(self, of: str, key: str, value: str = "") -> Fact:
        return static.element(self.node.name, of, key, value, why=f"of {self.port.title}")

    def _refusal(self, of: str, called: str) -> Fact:
        """Refused where there is no endpoint at all, dropped where only this node has none."""
        if self.chosen.anywhere:
            verdict, why = "drop", "the policy is Local and no endpoint of {} is on this node"
        else:
            verdict, why = f"goto {static.REJECT}", "{} has no endpoints"
        key = f'{called} comment "{self.port.name}"'
        return static.element(self.node.name, of, key, verdict, why=why.format(self.port.title))

    def _chain(self, name: str, rules: Iterable[ChainRule]) -> Fact:
        return static.chain(self.node.name, name, tuple(rules))

    def _not_from_pods(self, chain: str) -> Iterator[ChainRule]:
        """The first rule of the chain that serves the ClusterIP."""
        pods = pods_match(self.proxy, self.node, negated=True)
        if chain != self.inner or not (pods or self.proxy.masquerade_all):
            return
        why = "not from a pod of this node: the answer has to come back here"
        if self.proxy.masquerade_all:
            pods, why = "", "--masquerade-all: every answer has to come back here"
        to = f"ip daddr {self.port.cluster_ip} {self.port.protocol} dport {self.port.port}"
        yield ChainRule(" ".join(filter(None, (to, pods, MASQUERADE))), why)

    def _from_outside(self) -> Iterator[ChainRule]:
        """Policy Local applies to what comes from outside, not to pods and the node itself."""
        any_endpoint = f"goto service-{self.base}"
        if not self.port.external_local:
            why = "from outside: the endpoint may be elsewhere, the answer has to come back here"
            yield ChainRule(MASQUERADE, why)
            yield ChainRule(any_endpoint, "choose an endpoint")
            return
        if pods := pods_match(self.proxy, self.node):
            text = f'{pods} {any_endpoint} comment "short-circuit pod traffic"'
            yield ChainRule(text, "a pod: any endpoint, as if it had gone out and come back")
        local = "fib saddr type local"
        yield ChainRule(
            f'{local} {MASQUERADE} comment "masquerade local traffic"',
            "from the node itself: the answer has to come back here",
        )
        text = f'{local} {any_endpoint} comment "short-circuit local traffic"'
        yield ChainRule(text, "any endpoint")
        if self.chosen.local:
            yield ChainRule(f"goto local-{self.base}", "from outside: an endpoint of this node")

    def _clients(self) -> Iterator[ChainRule]:
        """A node's own packets to an address it has carry that address."""
        ranges = self.port.source_ranges
        own = any(self.node.ip in one for one in ranges if self.node.ip)
        allowed = networks(ranges, self.port.load_balancer_ips if own else ())
        yield ChainRule(f"ip saddr != {allowed} drop", "no allowed client of the load balancer")

    def _spread(self, to: tuple[Backend, ...]) -> Iterator[ChainRule]:
        """Who was here before goes where it went; else each is taken with the same chance."""
        ways = [(backend, endpoint_base(self.port, backend)) for backend in to]
        for backend, base in ways if self.port.affinity_s else ():
            whose = backend.pod or f"{backend.ip}:{backend.port}"
            why = f"a client of the last {self.port.affinity_s} s stays with {whose}"
            yield ChainRule(f"ip saddr @affinity-{base} goto endpoint-{base}", why)
        numbered = ", ".join(f"{i} : goto endpoint-{base}" for i, (_, base) in enumerate(ways))
        text = f"numgen random mod {len(ways)} vmap {{ {numbered} }}"
        yield ChainRule(text, f"one in {len(ways)} for each endpoint of {self.port.title}")

    def _endpoint(self, backend: Backend) -> Iterator[Fact]:
        base, to = endpoint_base(self.port, backend), f"{backend.ip}:{backend.port}"
        hairpin = "the endpoint called its own Service: only with another source does it answer us"
        rules = [ChainRule(f"ip saddr {backend.ip} {MASQUERADE}", hairpin)]
        if self.port.affinity_s:
            yield self._affinity(base)
            rules.append(ChainRule(f"update @affinity-{base} {{ ip saddr }}", "remember who came"))
        why = f"to {backend.pod} on {backend.node}" if backend.pod else "an endpoint"
        rules.append(ChainRule(f"meta l4proto {self.port.protocol} dnat to {to}", why))
        yield self._chain(f"endpoint-{base}", rules)

    def _affinity(self, base: str) -> NftSet:
        return NftSet(
            ns=self.node.name,
            family=static.FAMILY,
            table=static.TABLE,
            name=f"affinity-{base}",
            key_type=static.ADDRESS,
            flags="dynamic,timeout",
            options=("size 65535", f"timeout {duration(self.port.affinity_s)}"),
            why=static.WHY,
        )
