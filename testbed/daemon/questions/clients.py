"""clients: whom the other side sees, asked with real connections and compared with the plan."""

from collections.abc import Callable, Iterator
from ipaddress import ip_address

from testbed.daemon.process.protocol import Json
from testbed.daemon.questions.connections import Connection, Setting, connections, owner, settings
from testbed.daemon.running import RunningLab
from testbed.eks.model import EksCluster
from testbed.errors import UsageError
from testbed.explain.journey import RoundTrip
from testbed.explain.reachability import question, reach
from testbed.explain.walk.predict import predict
from testbed.explain.walk.world import World
from testbed.net.facts import IpAddress, State
from testbed.plan import plan
from testbed.probes import http
from testbed.probes.outcome import Outcome, Row, Target

Progress = Callable[[str], None]


def clients(
    running: RunningLab, progress: Progress, *, every_setting: bool, timeout_s: float
) -> Json:
    """A row for each connection; with every setting, the lab is as before when it is done.

    Raises UsageError where no component has such settings.
    """
    lab = running.described()
    if every_setting and not any(isinstance(one, EksCluster) for one in lab.clusters):
        raise UsageError("the lab has no EKS cluster: only its CNI has settings for SNAT")
    asked = list(connections(lab, running.allocations))
    if not every_setting:
        return list(_rows(running, "as it is", running.state, asked, timeout_s))
    rows: list[Json] = []
    for setting in settings(lab):
        progress(f"{setting.name} …")
        rows += _with(running, setting, asked, timeout_s)
    return rows


def _with(
    running: RunningLab, setting: Setting, asked: list[Connection], timeout_s: float
) -> list[Json]:
    """The rows of a setting, which is the kernels' only as long as it is asked about."""
    state = plan(setting.lab, running.allocations)
    with running.trying(state):
        return list(_rows(running, setting.name, state, asked, timeout_s))


def _rows(
    running: RunningLab, setting: str, state: State, asked: list[Connection], timeout_s: float
) -> Iterator[Json]:
    world = World.planned(state)
    rows = [Row(one.pod.pod, [_target(one)]) for one in asked]
    outcomes = http.sweep(running.store, rows, timeout_s=timeout_s)
    for one, [outcome] in zip(asked, outcomes, strict=True):
        header = question("http", one.pod.ip, one.server.address, one.server.port)
        branches = predict(world, one.pod.pod, header)
        seen, foreseen = _seen(outcome), _foreseen(branches)
        yield {
            "setting": setting,
            "from": one.pod.pod,
            "node": one.pod.node,
            "eni": f"eth{one.pod.device_index}",
            "to": one.server.name,
            "where": one.server.kind,
            "client": str(seen or ""),
            "is": owner(seen, one.pod, running.allocations) if seen else "",
            "code": "" if seen else reach(branches).code,
            "reason": "" if seen else reach(branches).text or outcome.reason,
            "predicted": str(foreseen or ""),
            "agrees": seen == foreseen,
        }


def _target(one: Connection) -> Target:
    return Target.of(one.server.address, one.server.port)


def _seen(outcome: Outcome) -> IpAddress | None:
    """The client in a server's answer; none where there was no answer."""
    if outcome.answer is None:
        return None
    return ip_address(str(outcome.answer["client"]).rpartition(":")[0])


def _foreseen(branches: tuple[RoundTrip, ...]) -> IpAddress | None:
    if not reach(branches).delivered:
        return None
    return branches[0].there.visits[-1].arrived.source
