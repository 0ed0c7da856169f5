"""mangle PREROUTING: a connection that came to the node's eth0 is answered by eth0."""

from collections.abc import Iterator

from testbed.eks.environment import CniSettings
from testbed.eks.profiles import Era
from testbed.eks.wiring.rule_text import comment, restore_mark, set_mark
from testbed.net.facts import ChainRule

SAID = comment("AWS, primary ENI")


def reply_marks(env: CniSettings, era: Era) -> Iterator[ChainRule]:
    """The rules, in order.

    -i eth0 … -m addrtype --dst-type LOCAL --limit-iface-in -j CONNMARK --set-xmark 0x80/0x80
    -i eni+ … -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80
    -i vlan+ … -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80
    """
    if env.node_port_support:
        local = "-m addrtype --dst-type LOCAL --limit-iface-in"
        why = "a node port's connection came in by eth0: remember it"
        yield ChainRule(f"-i eth0 {SAID} {local} {set_mark(env)}", why)
    if env.node_port_support or marks_outbound(env, era):
        prefix = env.veth_prefix if era.veth_prefix_in_mangle else "eni"
        why = "the pod's packets of a marked connection get the mark: rule 1024 then picks eth0"
        yield ChainRule(f"-i {prefix}+ {SAID} {restore_mark(env)}", why)
    if env.node_port_support and era.branch_enis:
        why = "the same for pods with a branch ENI"
        yield ChainRule(f"-i vlan+ {SAID} {restore_mark(env)}", why)


def marks_outbound(env: CniSettings, era: Era) -> bool:
    """Whether what pods open to the outside is marked too: it leaves by eth0, translated."""
    return era.marks_outbound and not env.external_snat
