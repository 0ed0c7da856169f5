"""The objects that texts hold, each checked as its kind and with the place where it is written."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from testbed.description import mistakes
from testbed.description.document import Document, read_all
from testbed.description.problem import Path, Problem, found, nearest, quoted
from testbed.errors import DescriptionError, Where
from testbed.kubernetes.manifests.eni_config_objects import EniConfigObject
from testbed.kubernetes.manifests.keys import written
from testbed.kubernetes.manifests.service_objects import Endpoints, EndpointSlice, Service
from testbed.kubernetes.manifests.workload_objects import Deployment, Pod

Object = Pod | Deployment | Service | Endpoints | EndpointSlice | EniConfigObject

KINDS: dict[str, type[Object]] = {
    "Pod": Pod,
    "Deployment": Deployment,
    "Service": Service,
    "Endpoints": Endpoints,
    "EndpointSlice": EndpointSlice,
    "ENIConfig": EniConfigObject,
}
KNOWN = ", ".join(KINDS)


@dataclass(frozen=True)
class Manifest:
    """One object as it was written: alone in its document, or at a place in a List."""

    document: Document
    path: Path
    data: Mapping[str, Any]
    value: Object

    def error(self, message: str, *path: str | int) -> DescriptionError:
        """A mistake at a path inside the object."""
        return _error(self.document, Problem((*self.path, *path), message))

    def refusal(self, problem: Problem) -> DescriptionError:
        """A problem of what the object became, told by the keys it was written with.

        problem: its path starts at the pod, Service …
        """
        path = written(self.value.kind, self.data, problem.path)
        return _error(self.document, replace(problem, path=(*self.path, *path)))

    @property
    def where(self) -> Where:
        """The line of its name."""
        path = (*self.path, "metadata", "name")
        return Where(self.document.file, self.document.line(path))


def read(files: Mapping[str, str]) -> list[Manifest]:
    """Every object in the texts of these files, in their order.

    Raises DescriptionError with file and line, also for what is not enforced.
    """
    return [
        manifest
        for file, text in files.items()
        for document in read_all(text, file)
        for manifest in _of_document(document)
    ]


def _of_document(document: Document) -> Iterator[Manifest]:
    """The object of a document, or those of its List; `kubectl get --raw` has a PodList …"""
    kind = document.data.get("kind")
    of = kind.removesuffix("List") if isinstance(kind, str) and kind.endswith("List") else None
    if of is None or of not in ("", *KINDS):
        yield _manifest(document, (), document.data)
        return
    same = {"kind": of, "apiVersion": document.data.get("apiVersion")} if of else {}
    items = document.data.get("items")
    if not isinstance(items, list):
        raise _error(document, Problem(("items",), f"expected a list, found {found(items)}"))
    for i, item in enumerate(items):
        own = {**same, **item} if isinstance(item, Mapping) else item
        yield _manifest(document, ("items", i), own)


def _manifest(document: Document, path: Path, data: Any) -> Manifest:
    if not isinstance(data, Mapping):
        raise _error(document, Problem(path, f"expected a map, found {found(data)}"))
    kind = data.get("kind")
    if not isinstance(kind, str):
        topology = "; this is a topology, which `testbed up` takes" if "testbed" in data else ""
        message = f"expected text, found {found(kind)}{topology}"
        raise _error(document, Problem((*path, "kind"), message))
    if kind not in KINDS:
        word = kind if kind.isalnum() else quoted(kind)
        problem = Problem(path, f"kind {word} is not enforced by the testbed; {KNOWN} are")
        raise problem.error(document.file, document.line((*path, "kind")))
    data = _told(data)
    try:
        value = _reader(kind).validate_python(data, by_alias=True, by_name=False)
    except ValidationError as error:
        mistake = mistakes.in_file(error, KINDS[kind], data, _unknown_field)
        raise _error(document, mistake.under(*path)) from error
    manifest = Manifest(document, path, data, value)
    if not value.metadata.name:
        generated = "cannot use generate name with apply; " if _generates(data) else ""
        raise manifest.error(f"{generated}this key is missing", "metadata", "name")
    return manifest


@cache
def _reader(kind: str) -> TypeAdapter[Object]:
    """How to read a kind: of most kinds a topology has none, of a few thousands."""
    return TypeAdapter(KINDS[kind])


def _generates(data: Mapping[str, Any]) -> bool:
    """Whether the API server would choose the name: kubectl applies no such object."""
    return bool(data["metadata"].get("generateName"))


def _told(data: Any) -> Any:
    """Without the fields that are null: to Kubernetes they are not there."""
    if isinstance(data, Mapping):
        return {key: _told(value) for key, value in data.items() if value is not None}
    return [_told(item) for item in data] if isinstance(data, list) else data


def _unknown_field(name: str, known: Collection[str]) -> str:
    return f"the field {quoted(name)} is not enforced by the testbed{nearest(name, known)}"


def _error(document: Document, problem: Problem) -> DescriptionError:
    return problem.error(document.file, document.line(problem.path))
