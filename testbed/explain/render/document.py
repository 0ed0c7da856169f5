"""An answer as JSON values, and the schema they keep to (`docs/explain.schema.json`)."""

from dataclasses import dataclass, fields, is_dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal

from testbed.explain.answer import Answer, Place
from testbed.explain.compare import Difference
from testbed.explain.journey import (
    FabricStep,
    Header,
    NetfilterStep,
    RoundTrip,
    RoutingStep,
    Step,
)
from testbed.explain.render import wording

Json = dict[str, Any]

STEPS: dict[type[Step], str] = {
    NetfilterStep: "netfilter",
    RoutingStep: "routing",
    FabricStep: "fabric",
}


@dataclass(frozen=True, kw_only=True)
class Document:
    """What `testbed explain -o json` prints.

    version grows when a key changes its meaning or goes away; new keys may come with any release.
    text, code and advice are of the way that failed, else of the way there.
    """

    version: Literal[1]
    lab: str
    source: str
    destination: str
    packet: Header
    delivered: bool
    text: str
    code: str
    advice: str
    asymmetry: tuple[str, ...]
    predicted: tuple[RoundTrip, ...]
    observed: RoundTrip | None
    difference: Difference | None
    drift: Difference | None
    what_if: tuple[str, ...]
    witnesses: tuple[str, ...]
    contradictions: tuple[str, ...]
    remarks: tuple[str, ...]
    places: tuple[Place, ...]


def document(answer: Answer) -> Json:
    """The answer as values that `json.dumps` takes, those of `Document`."""
    end, back = answer.shown.there.end, answer.shown.back
    if end.delivered and back is not None and not back.end.delivered:
        end = back.end
    plain = _plain(
        Document(
            version=1,
            lab=answer.lab,
            source=answer.source,
            destination=answer.destination,
            packet=answer.header,
            delivered=answer.delivered,
            text=end.text,
            code=end.code,
            advice=end.advice,
            asymmetry=tuple(wording.asymmetry(answer)),
            predicted=answer.predicted,
            observed=answer.observed,
            difference=answer.difference,
            drift=answer.drift,
            what_if=answer.edits,
            witnesses=answer.witnesses,
            contradictions=answer.contradictions,
            remarks=answer.remarks,
            places=answer.places,
        )
    )
    assert isinstance(plain, dict)
    return plain


def _plain(value: object) -> object:
    """JSON's own values; each step is told apart by its key `step`."""
    match value:
        case IPv4Address() | IPv6Address():
            return str(value)
        case tuple():
            return [_plain(item) for item in value]
        case NetfilterStep() | RoutingStep() | FabricStep():
            return {"step": STEPS[type(value)], **_members(value)}
        case _ if is_dataclass(value):
            return _members(value)
        case _:
            return value


def _members(value: Any) -> Json:
    return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}


def schema() -> Json:
    """The JSON schema (draft 2020-12) of `document`, made from the classes themselves."""
    from pydantic import TypeAdapter  # heavy: only who asks for the schema needs it

    made = TypeAdapter(Document).json_schema(mode="serialization")
    for kind, name in STEPS.items():
        step = made["$defs"][kind.__name__]
        step["properties"] = {"step": {"const": name}, **step["properties"]}
    for definition in (made, *made["$defs"].values()):
        definition["required"] = list(definition["properties"])  # no key is ever left out
        for value in definition["properties"].values():
            value.pop("title", None)
            value.pop("default", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "title": "testbed explain",
    }
