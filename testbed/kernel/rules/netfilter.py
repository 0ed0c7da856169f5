"""Netfilter rules of a namespace, written and read with its own programs.  Needs CAP_NET_ADMIN.

The calling thread is already in that network namespace; the programs start where it is.  One
process a program: all tables of a namespace go in one restore and one transaction.  (iptables-nft
takes no lock: XTABLES_LOCKFILE means nothing to it.)
"""

import time
from collections.abc import Callable, Sequence

from testbed.errors import KernelError, MissingFeature
from testbed.kernel.programs.run import Result, run
from testbed.net.facts import Fact, State
from testbed.net.netfilter import iptables as iptables_text
from testbed.net.netfilter import nft as nft_text

TIMEOUT_S = 30.0  # 20,000 rules take iptables-nft-restore half a second
LACKING = "missing kernel module?"  # iptables' own words
# A transaction is one message; only root of the machine may send one above net.core.wmem_default.
TOO_LONG = "Message too long"
# Something leads to a chain that is to go; or did, and Linux before 6.2 has not noticed yet
BUSY = "Device or resource busy"
IDLE_S, AGAIN_S = 5.0, 0.1

NFT = ("nft", "-f", "-")

Refusal = Callable[[str, str], str]


def write(ns: str, found: State, wanted: State) -> None:
    """Bring the namespace's rules from `found` to `wanted`; chains that do not differ stay.

    Facts of other namespaces are left out.
    Raises KernelError (the program's message and the line it refused), MissingFeature.
    """
    before, after = _of(ns, found), _of(ns, wanted)
    restore = iptables_text.changes_text(before, after)
    if restore:
        _feed(ns, ["iptables-nft-restore", "--noflush"], restore, iptables_text.refusal)
    script = nft_text.script(before, after)
    if script:
        _feed_nft(ns, script)


def read(ns: str, *, iptables: bool, nft: bool, elements: bool = True) -> State:
    """The namespace's iptables chains, its nft sets, elements and chains, as far as asked for.

    Raises KernelError, MissingFeature.
    """
    state: State = frozenset()
    if iptables:
        state |= iptables_text.parse_save(ns, _output(ns, ["iptables-nft-save"]))
    if nft:
        terse = [] if elements else ["-t"]
        state |= nft_text.parse_list(ns, _output(ns, ["nft", "-s", *terse, "list", "ruleset"]))
    return state


def _of(ns: str, state: State) -> list[Fact]:
    return [fact for fact in state if fact.ns == ns]


def _feed_nft(ns: str, script: str) -> None:
    """In one transaction if the kernel takes it, else in several."""
    try:
        _feed(ns, NFT, script, nft_text.refusal)
    except KernelError as refused:
        if TOO_LONG in str(refused):
            for part in nft_text.parts(script):
                _feed(ns, NFT, part, nft_text.refusal)
        elif BUSY in str(refused):
            changes, removal = nft_text.without_deleted_chains(script)
            _feed(ns, NFT, changes, nft_text.refusal)
            _until_idle(lambda: _feed(ns, NFT, removal, nft_text.refusal))
        else:
            raise


def _until_idle(remove: Callable[[], None]) -> None:
    """Removal of what the kernel takes for used a moment longer.  Raises KernelError."""
    deadline = time.monotonic() + IDLE_S
    while True:
        try:
            return remove()
        except KernelError as refused:
            if BUSY not in str(refused) or time.monotonic() > deadline:
                raise
        time.sleep(AGAIN_S)


def _feed(ns: str, argv: Sequence[str], text: str, refusal: Refusal) -> None:
    result = run(argv, stdin=text, timeout_s=TIMEOUT_S)
    if result.returncode:
        raise _error(ns, result, refusal(text, result.stderr))


def _output(ns: str, argv: Sequence[str]) -> str:
    result = run(argv, timeout_s=TIMEOUT_S)
    if result.returncode:
        raise _error(ns, result, result.stderr.strip())
    return result.stdout


def _error(ns: str, result: Result, said: str) -> KernelError | MissingFeature:
    message = f"{ns}: {result.argv[0]}: {said or f'exit code {result.returncode}'}"
    return (MissingFeature if LACKING in said else KernelError)(message)
