"""ipamD's metrics as Prometheus reads them: `curl http://localhost:61678/metrics` on a node.

Those that a data store at rest has; counters of calls and their times are not here.
Source: amazon-vpc-cni-k8s v1.23.1, utils/prometheusmetrics.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from testbed.eks.ipamd.introspection.datastore import Introspection
from testbed.net.served.endpoints import Page

PATH = "/metrics"
EXPOSITION = (("Content-Type", "text/plain; version=0.0.4; charset=utf-8"),)
NOT_FOUND = Page(
    "404 Not Found", "404 page not found\n", (("Content-Type", "text/plain; charset=utf-8"),)
)

Sample = tuple[str, float]  # labels in braces, or nothing; the value


@dataclass(frozen=True)
class Metrics:
    """One node's gauges.  backend: of the marks; empty in v1.5."""

    store: Introspection
    eni_max: int
    ip_max: int
    backend: str

    def page(self, path: str) -> Page:
        """The answer to a GET."""
        if path != PATH:
            return NOT_FOUND
        return Page("200 OK", "".join(map(_family, self._gauges())), EXPOSITION)

    def _gauges(self) -> Iterator[tuple[str, list[Sample]]]:
        enis = self.store.enis
        total = sum(cidr.num_addresses for eni in enis for cidr in eni.cidrs)
        yield "assigned_ip_addresses", [("", len(self.store.pods))]
        if self.backend:
            yield from self._of_today(self.backend)
        yield "eni_allocated", [("", len(enis))]
        yield "eni_max", [("", self.eni_max)]
        yield "ip_max", [("", self.ip_max)]
        yield "total_ip_addresses", [("", total)]
        if self.backend:
            yield "total_ipv4_prefixes", [("", sum(len(eni.prefixes) for eni in enis))]

    def _of_today(self, backend: str) -> Iterator[tuple[str, list[Sample]]]:
        held = {cidr: self.store.held(cidr) for eni in self.store.enis for cidr in eni.cidrs}
        of_eni = {eni.id: sum(len(held[cidr]) for cidr in eni.cidrs) for eni in self.store.enis}
        yield (
            "assigned_ip_per_cidr",
            [(f'{{cidr="{cidr}"}}', len(pods)) for cidr, pods in held.items() if pods],
        )
        yield "assigned_ip_per_eni", [(f'{{eni="{eni}"}}', n) for eni, n in of_eni.items()]
        yield "connmark_backend", [(f'{{backend="{backend}"}}', 1)]


def _family(gauge: tuple[str, list[Sample]]) -> str:
    """A metric's lines: its type, and a sample for each set of labels."""
    name = f"awscni_{gauge[0]}"
    lines = [f"{name}{labels} {value:g}" for labels, value in sorted(gauge[1])]
    return "".join(f"{line}\n" for line in (f"# TYPE {name} gauge", *lines)) if lines else ""
