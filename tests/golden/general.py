"""A fact's reason without what one lab put into it: its names, its addresses, its own rules."""

import re
from collections.abc import Collection, Iterable

from testbed.lab import Lab
from testbed.vpc.naming import INTERNET

# a security group's or an ACL's own rule, or who is in a group: of one lab, and no behaviour
OWN_RULE = re.compile(
    r"^(ENIs with|[\w-]+: \w+ |[\w-]+ \d+: )|_SG_RULES_|_ACL_RESTRICTION| has \S+$"
)
ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+(/\d+)?")
SECOND_ENI = re.compile(r"\beth[1-9]\b")
ENI = re.compile(r"\beni-[0-9a-f]+")
NUMBER = re.compile(r"(?<=one (?:in|of) )\d+|(?<=on port )\d+|(?<=an EC2 instance, )\S+")
# behind these an ordinary word such as `web` is a name
BEFORE = (
    *("VPC", "of", "in", "on", "site", "zone", "subnet", "Service", "cluster", "attachment"),
    *("route table", "network ACL", "to", "and", "peering", "gateway", "propagated by"),
)
BEHIND = (" announces", " is associated", " is on cbr0", "'s")
TABLE = "main"  # a VPC may be called so; a reason means the routing table


class Names:
    """The names of a lab, to be taken out of sentences; it holds the compiled patterns."""

    def __init__(self, lab: Lab, places: Iterable[str]) -> None:
        words = _words(lab) | set(places) - {INTERNET}
        every, sure = _any(words), _any(one for one in words if re.search(r"\d|-", one))
        before = "|".join(BEFORE)
        self._pattern = re.compile(
            rf"(?<![\w-]){sure}(?![\w-])"
            rf"|\b(?P<before>(?:{before}) ){every}(?![\w-])"
            rf"|(?<=…/){every}(?![\w-])"
            rf"|(?<![\w-]){every}(?={'|'.join(BEHIND)})"
            rf"|(?:(?<=\bVPC )|(?<=route table )|(?<=… of )){TABLE}\b"
        )

    def without(self, why: str) -> str:
        """The sentence with `…` for names, addresses and numbers."""
        told = NUMBER.sub("…", ENI.sub("eni-…", ADDRESS.sub("…", why)))
        for _ in range(2):  # a name may stand behind another one: `…/web`
            told = self._pattern.sub(lambda match: f"{match['before'] or ''}…", told)
        return SECOND_ENI.sub("eth1", told)


def _words(lab: Lab) -> set[str]:
    words = {one.name for one in lab.vpcs} | {one.name for one in lab.clusters}
    words |= {one.name for one in lab.on_premises} | {one.name for one in lab.peerings}
    words |= {one.name for one in lab.transit_gateways} | {"default"}
    words |= {f"pcx-{one.name}" for one in lab.peerings}
    for vpc in lab.vpcs:
        words |= {one.name for one in vpc.subnets} | {one.name for one in vpc.instances}
        words |= {one.name for one in vpc.route_tables} | {one.name for one in vpc.network_acls}
        words |= {one.availability_zone for one in vpc.subnets}
    for cluster in lab.clusters:
        words |= {one.name for one in cluster.services} | {one.netns for one in cluster.pods}
        words |= {one.namespace for one in cluster.services}
    return words - {TABLE}


def _any(words: Collection[str] | Iterable[str]) -> str:
    return f"(?:{'|'.join(sorted(map(re.escape, words), key=len, reverse=True))})"
