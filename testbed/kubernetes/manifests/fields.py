"""What the fields of all kinds of objects are made of.

Whatever says nothing about networking is accepted and Ignored.  A field that is not declared is
refused, and so is any value that asks for more than the testbed does: better no lab than one
that differs from the cluster in silence.

Source: https://kubernetes.io/docs/reference/kubernetes-api/.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass

from testbed.description import STRICT, Whole, refusal
from testbed.description.ports import MOST_PORT
from testbed.description.problem import found, quoted
from testbed.kubernetes import topology_hints
from testbed.kubernetes.cni import bandwidth
from testbed.kubernetes.load_balancers.annotations import PREFIX, is_ours, misread
from testbed.kubernetes.load_balancers.clients import SOURCE_RANGES

# Most topologies have no manifests: how to read one is made up when there is one.
WRITTEN = ConfigDict(defer_build=True, **STRICT)
# of a status, which an API server writes: what is not known there asks for nothing
REPORTED = ConfigDict(
    defer_build=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
)

Ignored = Any


def _number(given: Any) -> Any:
    """The API server takes no text for a number, although pydantic would."""
    if isinstance(given, str):
        raise refusal(f"expected a whole number, found {found(given)}")
    return given


def _truth(given: Any) -> Any:
    """No number, and no text in quotes; `yes` is true as kubectl reads YAML."""
    if isinstance(given, bool) or str(given).lower() in YAML_TRUTHS:
        return given
    raise refusal(f"expected true or false, found {found(given)}")


def _unset(given: Any) -> Any:
    """0 says no port, where one need not be said."""
    return None if given == 0 and type(given) is int else given


YAML_TRUTHS = ("yes", "no", "on", "off", "y", "n")
Count = Annotated[Whole, BeforeValidator(_number), Field(ge=0)]
Flag = Annotated[bool, BeforeValidator(_truth)]
Number = Annotated[Whole, BeforeValidator(_number), Field(ge=1, le=MOST_PORT)]
MaybeNumber = Annotated[Number | None, BeforeValidator(_unset)]
Transport = Literal["TCP", "UDP"]

# annotations that change what packets do, by how they begin
NETWORKING = (
    "service.beta.kubernetes.io/",
    "service.kubernetes.io/",
    "k8s.v1.cni.cncf.io/",
)


def _annotations(given: Any) -> dict[str, str]:
    """Those of load balancers, of topology hints and of bandwidth, which are followed.

    Others that change what packets do are refused; what else there is are notes of tools.
    """
    if not isinstance(given, Mapping | None):
        raise refusal("expected names and texts")
    written = {str(name): str(text) for name, text in (given or {}).items()}
    for name, message in misread(written):
        raise refusal(message, name)
    others = (*topology_hints.ANNOTATIONS, SOURCE_RANGES)
    followed = {name for name in written if is_ours(name) or name in others}
    for name in (one for one in written if one not in followed):
        if name.startswith(NETWORKING) and not name.startswith(PREFIX):
            message = f"the annotation {quoted(name)} is not enforced by the testbed"
            raise refusal(message, name)
    of_pod = bandwidth.of_pod(written)
    for problem in bandwidth.problems(of_pod):
        raise refusal(problem.message, *problem.path)
    return {name: text for name, text in written.items() if name in followed} | of_pod


Annotations = Annotated[Mapping[str, str], BeforeValidator(_annotations)]


@dataclass(frozen=True, config=WRITTEN, kw_only=True)
class Metadata:
    """Of an object, or of a Deployment's template, which needs no name."""

    name: str = ""
    namespace: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Annotations = field(default_factory=dict)
    creation_timestamp: Ignored = None
    deletion_grace_period_seconds: Ignored = None
    deletion_timestamp: str | None = None  # it was deleted, and ends
    finalizers: Ignored = None
    generate_name: Ignored = None
    generation: Ignored = None
    managed_fields: Ignored = None
    owner_references: Ignored = None
    resource_version: Ignored = None
    self_link: Ignored = None
    uid: Ignored = None
