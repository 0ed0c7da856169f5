"""Editors are told what a topology file looks like."""

from testbed.load import schema


def test_the_schema_describes_files_and_not_python() -> None:
    """In a file things stand in a map under their names; an editor must not ask for lists."""
    found = schema()

    assert found["required"] == ["testbed", "name", "vpcs"]
    assert found["properties"]["testbed"] == {"const": "v1"}
    assert found["additionalProperties"] is False
    vpc = found["properties"]["vpcs"]["additionalProperties"]
    assert vpc["required"] == ["cidrs"]
    assert "name" not in vpc["properties"]
    tables = vpc["properties"]["routeTables"]["additionalProperties"]
    assert tables == {"type": "object", "additionalProperties": {"type": "string"}}
    cluster, _ = found["properties"]["clusters"]["additionalProperties"]["anyOf"]
    pod = cluster["properties"]["pods"]["additionalProperties"]
    assert pod["type"] == ["object", "null"]
    assert pod["properties"]["replicas"]["type"] == "integer"
    assert "name" not in pod["properties"]
    assert "WARM_ENI_TARGET" in found["$defs"]["CniSettings"]["properties"]
