"""`explain -o json` keeps to the schema that is published, and loses nothing."""

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from testbed.explain.compare import difference
from testbed.explain.journey import FabricStep, NetfilterStep, RoutingStep
from testbed.explain.render.document import document, schema
from tests.explain import journeys

PUBLISHED = Path(__file__).parents[3] / "docs" / "explain.schema.json"

TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def _complaints(value: Any, wanted: Mapping[str, Any], root: Mapping[str, Any]) -> list[str]:
    """What is wrong with a value: as much of JSON Schema as ours uses."""
    if "$ref" in wanted:
        return _complaints(value, root["$defs"][wanted["$ref"].rpartition("/")[2]], root)
    if "anyOf" in wanted:
        found = [_complaints(value, one, root) for one in wanted["anyOf"]]
        return [] if [] in found else min(found, key=len)
    if "const" in wanted and value != wanted["const"]:
        return [f"{value!r} is not {wanted['const']!r}"]
    if "enum" in wanted and value not in wanted["enum"]:
        return [f"{value!r} is none of {wanted['enum']}"]
    if "type" in wanted and not isinstance(value, TYPES[wanted["type"]]):
        return [f"{value!r} is no {wanted['type']}"]
    if isinstance(value, list):
        return [bad for item in value for bad in _complaints(item, wanted["items"], root)]
    if isinstance(value, dict):
        known = wanted["properties"]
        missing = [f"no {key}" for key in wanted["required"] if key not in value]
        unknown = [f"unknown {key}" for key in value if key not in known]
        inside = [
            bad
            for key in value
            if key in known
            for bad in _complaints(value[key], known[key], root)
        ]
        return missing + unknown + inside
    return []


@pytest.mark.parametrize(
    "trip",
    [
        journeys.same_node(),
        journeys.other_node(),
        journeys.to_internet(),
        journeys.source_checked(),
        journeys.asymmetric(),
    ],
)
def test_the_output_keeps_to_the_schema(trip: Any) -> None:
    shown = json.loads(json.dumps(document(journeys.explained(trip, observed=trip))))

    assert _complaints(shown, schema(), schema()) == []


def test_the_check_itself_finds_what_is_wrong() -> None:
    shown = document(journeys.explained(journeys.same_node()))
    shown["version"] = 2
    del shown["lab"]
    shown["packet"]["ttl"] = "64"

    assert len(_complaints(shown, schema(), schema())) == 3


def test_the_published_schema_is_the_one_of_the_code() -> None:
    """`testbed schema explain > docs/explain.schema.json` brings it up to date."""
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == schema()


def test_nothing_of_a_visit_is_left_out() -> None:
    answer = journeys.explained(journeys.to_internet())
    [predicted] = document(answer)["predicted"]

    for visit, shown in zip(
        answer.predicted[0].there.visits, predicted["there"]["visits"], strict=True
    ):
        assert set(shown) == {field.name for field in fields(visit)}
        assert len(shown["steps"]) == len(visit.steps)


def test_each_kind_of_step_has_its_name() -> None:
    answer = journeys.explained(journeys.other_node())
    [predicted] = document(answer)["predicted"]
    names = {NetfilterStep: "netfilter", RoutingStep: "routing", FabricStep: "fabric"}

    for visit, shown in zip(
        answer.predicted[0].there.visits, predicted["there"]["visits"], strict=True
    ):
        assert [step["step"] for step in shown["steps"]] == [
            names[type(step)] for step in visit.steps
        ]


def test_a_drop_gives_its_code_and_advice_on_top() -> None:
    shown = document(journeys.explained(journeys.source_checked()))

    assert not shown["delivered"]
    assert shown["code"] == "ENI_SOURCE_DEST_CHECK_RESTRICTION"
    assert shown["advice"].startswith("Send it by the ENI")


def test_a_lost_reply_gives_the_replys_code_on_top() -> None:
    shown = document(journeys.explained(journeys.asymmetric()))

    assert not shown["delivered"]
    assert shown["code"] == "X_RP_FILTER"
    assert shown["asymmetry"] == ["node-1 sent it by eth1 and gets the reply by eth0"]


def test_a_difference_is_a_value_of_its_own() -> None:
    trip = journeys.other_node()
    answer = journeys.explained(trip, observed=journeys.source_checked())

    shown = document(replace(answer, difference=difference([trip], journeys.source_checked())))

    assert document(answer)["difference"] is None
    assert shown["difference"] == {
        "way": "there",
        "visit": 1,
        "ns": "node-1",
        "aspect": "rule",
        "predicted": "1536: from 10.0.1.13 lookup 2",
        "observed": "32766: from all lookup main",
    }
