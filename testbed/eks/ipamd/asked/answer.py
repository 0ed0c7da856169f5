"""What ipamD has and does, as JSON.  Pure.  See docs/ipam.md."""

from dataclasses import fields
from typing import Any

from pydantic.alias_generators import to_camel

from testbed.eks.ipamd import pool
from testbed.eks.ipamd.asked.grants import Grants
from testbed.eks.ipamd.asked.read import NOW, Asked
from testbed.eks.ipamd.daemon import Ipamd
from testbed.eks.ipamd.datastore.store import choose, count
from testbed.eks.ipamd.decisions import Decision, Refusal
from testbed.eks.ipamd.reconcile import Change, reconcile
from testbed.eks.ipamd.runs.timeline import Event
from testbed.eks.ipamd.settings import Settings

Json = dict[str, Any]


def answer(asked: Asked) -> Json:
    """What ipamD has, what the next pod gets, and what one pass of its loop asks of EC2."""
    rules, store = asked.rules, asked.store
    stats, chosen = count(store, rules), choose(store, rules, NOW)
    ipamd = Ipamd(rules, store, Grants(asked.subnet_free), asked.conditions)
    found = {
        "total": stats.total,
        "assigned": stats.assigned,
        "available": stats.available,
        "prefixes": {"total": stats.prefixes, "free": stats.free_prefixes},
        "limits": _limits(rules),
        "pool": {
            "unit": "prefixes" if rules.prefix_delegation else "addresses",
            "short": pool.short(stats, rules),
            "over": pool.over(stats, rules),
            "tooLow": pool.too_low(stats, rules),
            "tooHigh": pool.too_high(stats, rules),
        },
        "nextPod": {"eni": chosen[0].id, "address": str(chosen[1])} if chosen else None,
        "decisions": [as_json(done) for done in ipamd.run_pass(NOW)],
    }
    if asked.unmanaged:
        found["unmanaged"] = list(asked.unmanaged)
    if asked.attached is None:
        return found
    changes = reconcile(store, rules, asked.attached, NOW)[1] if asked.reconciles else []
    return {**found, "reconcile": [_change(change) for change in changes]}


def as_json(done: Decision | Refusal) -> Json:
    """`{"action": "AssignAddresses", "eni": "eni-1", "count": 9}`; addresses are text."""
    if isinstance(done, Refusal):
        return {**as_json(done.decision), "refused": done.code or done.message}
    values = {field.name: _plain(getattr(done, field.name)) for field in fields(done)}
    return {"action": type(done).__name__, **values}


def event_as_json(event: Event) -> Json:
    """A line of a timeline: `{"atS": 12.5, "pods": 1, …, "done": [{"action": …}]}`."""
    values = {to_camel(one.name): getattr(event, one.name) for one in fields(event)}
    return values | {"done": [as_json(one) for one in event.done]}


def _change(change: Change) -> Json:
    """`{"action": "Removed", "eni": "eni-1", "cidrs": ["10.0.1.7"], "pods": ["10.0.1.7"]}`."""
    sets = {
        field.name: sorted(map(str, getattr(change, field.name)))
        for field in fields(change)
        if field.name != "eni"
    }
    return {"action": type(change).__name__, "eni": change.eni, **sets}


def _plain(value: Any) -> Any:
    return [str(one) for one in value] if isinstance(value, tuple) else value


def _limits(rules: Settings) -> Json:
    return {
        "enis": rules.max_enis,
        "addressesPerEni": rules.addresses_per_eni,
        "maxPods": rules.max_pods,
    }
