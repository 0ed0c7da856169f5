"""A topology file as a Lab: YAML, or a Python script.  Reading files is an EFFECT."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from testbed import document, mistakes, script
from testbed.errors import DescriptionError, Where
from testbed.lab import Lab, check, problems
from testbed.problem import found, nearest

VERSION = "v1"
SCRIPT = ".py"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def load(path: Path) -> Lab:
    """The lab a file describes, checked.

    Raises DescriptionError, or AwsError where AWS would refuse the same, with file, line and key.
    """
    content = _content(path)
    if path.suffix != SCRIPT:
        return parse(_text(content, path), str(path))
    lab = script.run(path)
    for problem in problems(lab):
        raise problem.error(str(path))
    return lab


def parse(text: str, file: str) -> Lab:
    """The lab a YAML text describes, checked; `file` is what errors call it.

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
    for problem in problems(lab):
        raise problem.error(file, source.line(problem.path))
    return lab


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


def _content(path: Path) -> bytes:
    where = Where(str(path))
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        beside = [one.name for one in path.parent.glob("*")]
        raise DescriptionError(f"no such file{nearest(path.name, beside)}", where) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DescriptionError(f"cannot be read: {reason}", where) from error


def _text(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise DescriptionError(message, Where(str(path), line)) from error


def _check_version(source: document.Document) -> None:
    where = Where(source.file, source.line(("testbed",)), "testbed")
    if "testbed" not in source.data:
        message = f"this key is missing; a topology begins with `testbed: {VERSION}`"
        raise DescriptionError(message, where)
    if source.data["testbed"] != VERSION:
        given = found(source.data["testbed"])
        raise DescriptionError(f"unknown version; expected {VERSION}, found {given}", where)
