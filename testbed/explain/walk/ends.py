"""What a rule that dropped a packet means: its reason code, in the words of the VPC or ours."""

from testbed.explain import fabric
from testbed.explain.journey import End
from testbed.explain.netfilter.passage import Filtered
from testbed.explain.packet import Packet, address
from testbed.explain.reasons import dropped
from testbed.kops.wiring.dedup import DEDUP
from testbed.net.facts import IpAddress

SOURCE_CHECK_CODE = "ENI_SOURCE_DEST_CHECK_RESTRICTION"
# Words of kube-proxy's rules, and of the one of kubelet's by which it dropped until 1.24
WORDS = {
    "has no endpoints": "X_NO_ENDPOINTS",
    "has no local endpoints": "X_NO_LOCAL_ENDPOINTS",
    "traffic not accepted by KUBE-FW-": "X_SOURCE_RANGES",
    "kubernetes firewall for dropping marked packets": "X_MARKED_TO_DROP",
    "--ctstate INVALID -j DROP": "X_INVALID",
    "vmap @no-endpoint-": "X_NO_LOCAL_ENDPOINTS",  # in nftables mode: who is refused goes on
    "Reject traffic to invalid ports of ClusterIPs": "X_NO_SERVICE_RULE",
}
# Chains whose every refusal means one thing: kube-proxy's of nftables mode, and kubenet's
PROXY_TABLE = "kube-proxy"
CHAINS = {
    (PROXY_TABLE, "reject-chain"): "X_NO_ENDPOINTS",
    (PROXY_TABLE, "firewall"): "X_SOURCE_RANGES",  # how the chains of all Services begin
    ("filter", DEDUP): "X_DEDUP",
}


def filtered_end(ns: str, filtered: Filtered, packet: Packet) -> tuple[End, str]:
    """The end, and the step's name where it is one of the VPC's."""
    step = filtered.step
    code, name = fabric.drop(step, packet)
    by_source = name == fabric.SOURCE_CHECK
    words = {
        "rule": f"{step.table} {step.chain}: {step.rule}",
        "source": address(packet.source),
        "destination": address(packet.destination),
        "step": name,
        "check": "source" if by_source else "destination",
        "address": address(packet.source if by_source else packet.destination),
        "dev": packet.iif if by_source else packet.oif,
        "mac": packet.smac,
        "refusal": fabric.refusal(step),
        "traffic": _traffic(packet),
        "called": _called(packet),
        "protocol": packet.protocol,
    }
    if not code:
        code = _code(filtered)
    return dropped(code, ns, **words), name


def sent_back(end: End, before: str, dev: str, destination: IpAddress) -> End:
    """The cause of a source check's end: the namespace before has nobody with the destination.

    dev: by which it came there and left again, to the same destination.
    """
    if end.code != SOURCE_CHECK_CODE:
        return end
    return dropped(
        "X_SENT_BACK", end.ns, before=before, dev=dev, destination=destination, check=end.text
    )


def _traffic(packet: Packet) -> str:
    """`tcp port 80 from 10.0.1.6 to 10.0.2.4`."""
    return f"{_called(packet)} from {address(packet.source)} to {address(packet.destination)}"


def _called(packet: Packet) -> str:
    """`tcp port 80`, or `icmp echo-request`."""
    what = packet.kind if packet.protocol == "icmp" else f"port {packet.destination_port}"
    return f"{packet.protocol} {what}"


def _code(filtered: Filtered) -> str:
    step = filtered.step
    kind = step.chain.partition("-")[0] if step.table == PROXY_TABLE else ""
    if code := CHAINS.get((step.table, step.chain)) or CHAINS.get((step.table, kind)):
        return code
    for words, code in WORDS.items():
        if words in step.rule:
            return code
    return "X_REJECTED" if filtered.reject else "X_FIREWALL"
