"""Chains as `nft list ruleset` prints them."""

from collections.abc import Iterable
from itertools import groupby

from testbed.net.facts import NftChain


def listing(chains: Iterable[NftChain]) -> str:
    """The tables of one namespace with these chains and nothing else; empty without any.

    table ip aws-cni {
            chain nat-prerouting {
                    type nat hook prerouting priority dstnat + 10; policy accept;
                    …
    """
    ordered = sorted(chains, key=lambda chain: (*_table(chain), chain.name))
    return "".join(_table_text(table, list(of)) for table, of in groupby(ordered, key=_table))


def _table(chain: NftChain) -> tuple[str, str]:
    return chain.family, chain.table


def _table_text(table: tuple[str, str], chains: Iterable[NftChain]) -> str:
    body = "\n".join(_chain_text(chain) for chain in chains)
    return f"table {' '.join(table)} {{\n{body}}}\n"


def _chain_text(chain: NftChain) -> str:
    lines = [*filter(None, [chain.hook]), *map(str, chain.rules)]
    inside = "".join(f"\t\t{line}\n" for line in lines)
    return f"\tchain {chain.name} {{\n{inside}\t}}\n"
