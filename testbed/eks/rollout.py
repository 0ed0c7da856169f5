"""aws-node rolled out with other settings: what `kubectl set env daemonset aws-node` does."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from testbed.description import mistakes
from testbed.description.problem import Problem
from testbed.eks.checks import of_environment
from testbed.eks.environment import CniSettings
from testbed.eks.model import ConnmarkBackend, EksCluster, Profile

NOTHING: Mapping[str, str] = MappingProxyType({})


def with_settings(
    cluster: EksCluster,
    profile: Profile | None = None,
    overrides: Mapping[str, str] = NOTHING,
    connmark_backend: ConnmarkBackend | None = None,
    unset: Collection[str] = (),
) -> EksCluster:
    """The cluster in another era, and with some of the CNI's variables set otherwise.

    unset: variables that get their defaults.
    Raises DescriptionError for a variable that is not known or cannot have its value.
    """
    settings = TypeAdapter(CniSettings)
    given: dict[str, Any] = settings.dump_python(cluster.env, by_alias=True)
    for name in unset:
        if name not in given:
            raise Problem((), mistakes.unknown_key(name, given)).error()
    given = {name: given[name] for name in given if name not in unset} | {**overrides}
    try:
        env = settings.validate_python(given, by_alias=True, by_name=False)
    except ValidationError as error:
        raise mistakes.in_file(error, CniSettings, given).error() from error
    changed = replace(
        cluster,
        profile=profile or cluster.profile,
        connmark_backend=connmark_backend or cluster.connmark_backend,
        env=env,
    )
    for problem in of_environment(changed):
        raise problem.error()
    return changed
