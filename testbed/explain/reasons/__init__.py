"""Why a packet ends: a table of stable codes, each with its sentence and what to change.

AWS's own codes where one fits (VPC Reachability Analyzer, "Explanation codes"), else ours: `X_…`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from testbed.explain.journey import End
from testbed.explain.packet import Flow, address
from testbed.explain.reasons.kernel import KERNEL
from testbed.explain.reasons.reason import Reason
from testbed.explain.reasons.unknown import UNKNOWN
from testbed.explain.reasons.vpc import VPC

REASONS: Mapping[str, Reason] = MappingProxyType(
    {reason.code: reason for reason in (*KERNEL, *VPC, *UNKNOWN)}
)


def unexpected(ns: str, source: object, called: str) -> str:
    """What is wrong with an answer that comes from somebody else than who was called."""
    return f"{ns} waits for no packet from {source}: it called {called}"


def twice(end: End, by: str) -> End:
    """The end of a packet that was delivered together with a copy of it.

    by: the namespace whose bridge made that.
    """
    return _noted(end, "X_DUPLICATE", {"ns": end.ns, "by": by})


def remembering(end: End, by: str, flow: Flow, to: str, better: Sequence[str]) -> End:
    """The end of a packet of a connection that is sent where new ones are not sent any more.

    by: the namespace that remembers it.  flow: the connection's.  better: where new ones get to.
    """
    words = {
        "by": by,
        "source": address(flow.source),
        "port": flow.source_port,
        "protocol": flow.protocol,
        "to": to,
        "better": " or ".join(better),
    }
    return _noted(end, "X_STALE_CONNECTION", words)


def _noted(end: End, code: str, words: Mapping[str, object]) -> End:
    """An end for which there is a better reason than its own."""
    reason = REASONS[code]
    return replace(
        end,
        text=f"{end.text}; {reason.sentence.format_map(words)}",
        code=code,
        advice=reason.advice.format_map(words),
    )


def dropped(code: str, ns: str, **words: object) -> End:
    """The end of a packet that was not delivered.  words: the templates' other ones."""
    reason = REASONS[code]
    words = {"ns": ns, **words}
    return End(
        delivered=False,
        ns=ns,
        text=reason.sentence.format_map(words),
        code=code,
        advice=reason.advice.format_map(words),
    )
