"""Visits that are remembered end as visits that are made: in good labs and in broken ones."""

import random
from collections import Counter
from dataclasses import replace
from functools import cache
from ipaddress import IPv4Address
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import pytest

from testbed.allocations import Allocations, allocate
from testbed.explain.journey import End, Header
from testbed.explain.reachability import question
from testbed.explain.walk.facts.sockets import Sockets
from testbed.explain.walk.predict import failure, predict
from testbed.explain.walk.world import World
from testbed.lab import Lab
from testbed.load import load
from testbed.net.drift.diff import implied
from testbed.net.facts import Chain, ChainRule, State, Veth
from testbed.plan import endpoints, plan, served

FOLDER = Path(__file__).parents[3] / "topologies"
TOPOLOGIES = sorted(FOLDER.glob("*.yaml"))
BROKEN = ("eks.yaml", "kops.yaml", "peering.yaml")
TIMES = 6  # each of them is broken
LOST = 0.02  # of the facts then
PODS = 6  # of a lab, that all ask each other
INTERNET = IPv4Address("203.0.113.10")


class Asked(NamedTuple):
    """What a namespace sends."""

    ns: str
    header: Header


class Known(NamedTuple):
    """A topology as it will be, who serves there, and what is asked."""

    state: State
    served: Sockets
    asked: list[Asked]


@cache
def known(file: Path) -> Known:
    lab = load(file)
    allocations = allocate(lab)
    wanted = plan(lab, allocations)
    return Known(
        wanted | implied(wanted),
        Sockets(served(lab, allocations)),
        questions(lab, allocations, random.Random(file.stem)),
    )


def questions(lab: Lab, allocations: Allocations, dice: random.Random) -> list[Asked]:
    """Pods among themselves, to the internet and to Services, each in both protocols or in TCP."""
    pods = list(endpoints(lab, allocations))
    pods = dice.sample(pods, min(PODS, len(pods)))
    services = [
        (given.cluster_ip, port)
        for given in allocations.services
        for port in given.ports
        if isinstance(given.cluster_ip, IPv4Address)
    ]
    return [
        *(
            Asked(one.netns, question(protocol, one.address, to.address, to.port(protocol) or 0))
            for one, to in permutations(pods, 2)
            for protocol in ("icmp", "tcp")
            if to.port(protocol) is not None
        ),
        *(
            Asked(one.netns, question("tcp", one.address, address, port))
            for one in pods
            for address, port in [(INTERNET, 80), *services]
        ),
    ]


def disagreements(lab: Known, state: State) -> tuple[list[str], Counter[str]]:
    """Where the answers differ, first asked and asked again; and how often each one came."""
    world = World(state)
    found, codes = [], Counter[str]()
    for one in [*lab.asked, *lab.asked]:
        branches = predict(world, one.ns, one.header, lab.served)
        ends = [trip.there.end for trip in branches]
        ends += [trip.back.end for trip in branches if trip.back is not None]
        failing: list[End | None] = [end for end in ends if not end.delivered]
        quick = failure(world, one.ns, one.header, lab.served)
        if quick not in (failing or [None]):
            found.append(f"{one}: {quick} is none of {failing}")
        codes[quick.code if quick else "delivered"] += 1
    return found, codes


@pytest.mark.parametrize("file", TOPOLOGIES, ids=lambda file: file.stem)
def test_remembered_visits_end_as_those_that_are_made(file: Path) -> None:
    lab = known(file)

    found, codes = disagreements(lab, lab.state)

    assert found == []
    assert lab.asked
    assert codes


@pytest.mark.parametrize("seed", range(TIMES))
@pytest.mark.parametrize("name", BROKEN)
def test_so_they_do_where_facts_are_missing(name: str, seed: int) -> None:
    lab = known(FOLDER / name)
    dice = random.Random(seed)
    kept = [
        one for one in sorted(lab.state, key=repr) if dice.random() > LOST or type(one) is Veth
    ]

    found, codes = disagreements(lab, frozenset(kept))

    assert found == []
    assert set(codes) - {"delivered"}, "something is broken"


def test_what_chance_decides_is_decided_anew() -> None:
    """A coin that accepts is thrown for each packet, so all of them may die behind it."""
    lab = known(FOLDER / "eks.yaml")
    rules = "-m statistic --mode random --probability 0.5 -j ACCEPT", "-j DROP"
    coin = tuple(map(ChainRule, rules))
    forward = [one for one in lab.state if isinstance(one, Chain) and one.name == "FORWARD"]
    state = lab.state.difference(forward) | {replace(one, rules=coin) for one in forward}

    found, codes = disagreements(lab, state)

    assert found == []
    assert codes["X_FIREWALL"] > codes["delivered"]


def test_a_chain_behind_another_may_tell_apart_whom_no_other_fact_does() -> None:
    """Each node refuses one pod of another node."""
    lab = known(FOLDER / "eks.yaml")
    chains = [one for one in lab.state if isinstance(one, Chain) and one.table == "filter"]
    forward = [one for one in chains if one.name == "FORWARD"]
    pods = {one.ns: one.header.source for one in lab.asked}
    state: State = lab.state
    for one in forward:
        away = [pods[ns] for ns in sorted(pods) if not is_wired(lab.state, ns, one.ns)]
        drop = ChainRule(f"-s {away[0]}/32 -j DROP")
        state = state - {one} | {
            replace(one, rules=(ChainRule("-j NEAR"),)),
            replace(one, name="NEAR", rules=(ChainRule("-j FAR"),), policy=""),
            replace(one, name="FAR", rules=(drop,), policy=""),
        }

    found, codes = disagreements(lab, state)

    assert found == []
    assert codes["X_FIREWALL"]
    assert codes["delivered"]


def is_wired(state: State, pod: str, node: str) -> bool:
    return any(isinstance(one, Veth) and (one.ns, one.peer_ns) == (pod, node) for one in state)
