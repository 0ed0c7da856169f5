"""`python -m bench.runs.rules NAMESPACES RULES`: like rule sets, by `apply` and by restores."""

import sys

from bench import spaces
from bench.meter import Numbers, used
from bench.spaces import wait_for_at_most
from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.programs.run import run
from testbed.kernel.read.observe import observe
from testbed.kernel.write.apply import apply
from testbed.net.drift.diff import compare
from testbed.net.facts import Chain, ChainRule, Netns
from testbed.net.netfilter.iptables import restore_text
from testbed.probes.sockets import inside

OF_A_SERVICE = 8  # rules
TIMEOUT_S = 60.0


def measure(namespaces: int, rules: int) -> Numbers:
    """Seconds of both, in namespaces that are there already; what was applied is read back."""
    names = [f"node-{i}" for i in range(namespaces)]
    bare = frozenset(Netns(ns=name) for name in names)
    wanted = bare | {chain for name in names for chain in _chains(name, rules)}
    with LocalStore() as store:
        apply(store, bare)
        found = observe(store)
        with used() as applying:
            apply(store, wanted, found)
        if drift := compare(wanted, observe(store).state):
            raise RuntimeError(f"not what was wanted: {drift}")
    wait_for_at_most(1)
    text = restore_text(_chains("node", rules))
    with LocalStore() as store:
        apply(store, bare)
        with used() as restoring:
            for name in names:
                _restore(store, name, text)
    return {"testbed_s": applying.seconds, "restore_s": restoring.seconds}


def _restore(store: LocalStore, name: str, text: str) -> None:
    with inside(store, name):
        ended = run(["iptables-nft-restore"], stdin=text, timeout_s=TIMEOUT_S)
    if ended.returncode:
        raise RuntimeError(ended.stderr)


def _chains(ns: str, rules: int) -> list[Chain]:
    """kube-proxy's, for Services with two endpoints each."""
    chains = {"KUBE-MARK-MASQ": ["-j MARK --set-xmark 0x4000/0x4000"], "KUBE-SERVICES": []}
    for number in range(rules // OF_A_SERVICE):
        for name, texts in _service(number).items():
            chains.setdefault(name, []).extend(texts)
    chains |= {name: ["-j KUBE-SERVICES"] for name in ("PREROUTING", "OUTPUT")}
    return [
        Chain(ns=ns, table="nat", name=name, rules=tuple(map(ChainRule, texts)))
        for name, texts in chains.items()
    ]


def _service(number: int) -> dict[str, list[str]]:
    vip = f"172.20.{number >> 8}.{number & 255}/32"
    endpoints = [f"10.{number >> 8}.{number & 255}.{host}" for host in (5, 6)]
    service = f"KUBE-SVC-{number:016X}"
    names = [f"KUBE-SEP-{number:015X}{i}" for i in range(2)]
    comment = f'-m comment --comment "default/app-{number}"'
    to = f"-d {vip} -p tcp {comment} -m tcp --dport 80"
    chains = {
        "KUBE-SERVICES": [f"{to} -j {service}"],
        service: [
            f"! -s 10.0.0.0/8 {to} -j KUBE-MARK-MASQ",
            f"{comment} -m statistic --mode random --probability 0.50000000000 -j {names[0]}",
            f"{comment} -j {names[1]}",
        ],
    }
    for name, endpoint in zip(names, endpoints, strict=True):
        chains[name] = [
            f"-s {endpoint}/32 {comment} -j KUBE-MARK-MASQ",
            f"-p tcp {comment} -m tcp -j DNAT --to-destination {endpoint}:80",
        ]
    return chains


if __name__ == "__main__":
    spaces.run(measure, int(sys.argv[1]), int(sys.argv[2]))
