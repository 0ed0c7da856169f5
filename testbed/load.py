"""A topology file as a Lab: YAML, or a Python script.  Reading files is an EFFECT."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from testbed import script
from testbed.description import document, mistakes
from testbed.description.problem import Path as KeyPath
from testbed.description.problem import found, quoted, spelt
from testbed.errors import DescriptionError, Where
from testbed.files import content, text
from testbed.kubernetes import manifests
from testbed.kubernetes.manifests import Objects
from testbed.lab import Cluster, Lab
from testbed.lab.checks import check, problems
from testbed.lab.objects import objects as there
from testbed.lab.objects import with_objects

VERSION = "v1"
SCRIPT = ".py"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

LineOf = Callable[[KeyPath], int]


def load(path: Path) -> Lab:
    """The lab a file describes, checked.

    Raises DescriptionError, or AwsError where AWS would refuse the same, with file, line and key.
    """
    there = content(path)
    if path.suffix != SCRIPT:
        return parse(text(there, path), str(path))
    return _checked(script.run(path), str(path), lambda _: 0)


def parse(text: str, file: str) -> Lab:
    """The lab a YAML text describes, checked; `file` is its path, as errors call it.

    Raises as `load` does.
    """
    source = document.read(text, file)
    _check_version(source)
    description = {key: value for key, value in source.data.items() if key != "testbed"}
    try:
        lab = TypeAdapter(Lab).validate_python(description, by_alias=True, by_name=False)
    except ValidationError as error:
        mistake = mistakes.in_file(error, Lab, description)
        raise mistake.error(file, source.line(mistake.path)) from error
    return _checked(lab, file, source.line)


def with_manifests(lab: Lab, file: str) -> Lab:
    """The lab with the pods and Services of its clusters' manifests, which are beside `file`.

    Raises DescriptionError with the manifest's file and line.
    """
    return _resolved(lab, file, lambda _: 0)[0]


def _checked(lab: Lab, file: str, line: LineOf) -> Lab:
    """The lab with what its manifests hold.  Problems are told where each thing was written."""
    lab, written = _resolved(lab, file, line)
    for problem in problems(lab):
        of, rest = problem.path[:2], replace(problem, path=problem.path[2:])
        refusal = written[of].refusal(rest) if of in written else None
        raise refusal or problem.error(file, line(problem.path))
    return lab


def _resolved(lab: Lab, file: str, line: LineOf) -> tuple[Lab, dict[KeyPath, Objects]]:
    """The lab without manifests but with their objects, which are told by their clusters too."""
    written: dict[KeyPath, Objects] = {}
    clusters: list[Cluster] = []
    for cluster in lab.clusters:
        objects = manifests.parse(_manifests(cluster, file, line))
        written["clusters", cluster.name] = objects
        complete = with_objects(cluster, there(cluster).and_those_of(objects))
        clusters.append(replace(complete, manifests=()))
    return replace(lab, clusters=tuple(clusters)), written


def _manifests(cluster: Cluster, file: str, line: LineOf) -> dict[str, str]:
    """The texts of a cluster's manifests by their files."""
    texts = {}
    for i, name in enumerate(cluster.manifests):
        path = Path(file).parent / name
        try:
            found_there = content(path)
        except DescriptionError as error:
            key: KeyPath = ("clusters", cluster.name, "manifests", i)
            where = Where(file, line(key), spelt(key))
            raise DescriptionError(f"{quoted(name)}: {error.message}", where) from error
        texts[str(path)] = text(found_there, path)
    return texts


def renamed(lab: Lab, name: str) -> Lab:
    """The same lab under another name, to run it twice.  Raises DescriptionError."""
    return check(replace(lab, name=name))


def schema() -> dict[str, Any]:
    """The JSON schema of topology files, for editors."""
    lab = TypeAdapter(Lab).json_schema(schema_generator=_Schema)
    return {
        **lab,
        "$schema": DIALECT,
        "title": "A topology of the testbed",
        "properties": {"testbed": {"const": VERSION}, **lab["properties"]},
        "required": ["testbed", *lab["required"]],
    }


class _Schema(GenerateJsonSchema):
    """Pydantic's schema without titles that repeat the key and defaults in Python's shape."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never: `title: Availability Zone` says nothing new."""
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Defaults only where they are text, numbers, true or false."""
        described = super().default_schema(schema)
        if not isinstance(described.get("default", 0), str | int):
            del described["default"]
        return described


def _check_version(source: document.Document) -> None:
    where = Where(source.file, source.line(("testbed",)), "testbed")
    if "testbed" not in source.data:
        message = f"this key is missing; a topology begins with `testbed: {VERSION}`"
        if {"apiVersion", "kind"} <= source.data.keys():
            message += "; this is a manifest, which `testbed apply -f` puts into a running lab"
        raise DescriptionError(message, where)
    if source.data["testbed"] != VERSION:
        given = found(source.data["testbed"])
        raise DescriptionError(f"unknown version; expected {VERSION}, found {given}", where)
