"""`render vpc-cni KEY=VALUE`, setting by setting: what each changes of a node of either era.

`every_setting.txt` has a block for each setting: what goes (-) and what comes (+), by the key of
the JSON it is under; a setting without lines changes nothing.  Sources: amazon-vpc-cni-k8s v1.5.7
and v1.23.1: SetupHostNetwork, SetupENINetwork, the plugin's driver, misc/10-aws.conflist.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from testbed.eks.environment import CniSettings
from testbed.eks.model import Profile
from testbed.eks.render import example, render, to_json
from testbed.eks.rollout import with_settings
from testbed.errors import DescriptionError

TABLE = Path(__file__).with_name("every_setting.txt").read_text(encoding="utf-8")
BLOCKS = re.split(r"^## ", TABLE, flags=re.MULTILINE)[1:]
SETTINGS = {heading: lines for heading, *lines in (block.splitlines() for block in BLOCKS)}
# imitated in one position only: the other is refused by its name
REFUSED = {
    "ENABLE_IPv4": "false",
    "ENABLE_IPv6": "true",
    "ENABLE_V6_EGRESS": "true",
    "ENABLE_MULTI_NIC": "true",
    "ENABLE_POD_ENI": "true",
}
PROFILES = pytest.mark.parametrize("profile", ["slides", "current"])


def flat(value: Any, key: str = "") -> Iterator[str]:
    """Each line of a rendered node behind the key it is under."""
    match value:
        case dict():
            for name, one in value.items():
                yield from flat(one, f"{key}.{name}" if key else name)
        case list() | tuple():
            for one in value:
                yield from flat(one, key)
        case str():
            yield from (f"{key}: {' '.join(line.split())}" for line in value.splitlines())
        case _:
            yield f"{key}: {value}"


@cache
def rendered(profile: Profile, setting: str = "") -> Counter[str]:
    """The lines of the workshop's node and of the pod that is on eth1, MACs left out."""
    node = example(profile)
    name, _, value = setting.partition("=")
    cluster = with_settings(node.cluster, profile, {name: value} if name else {})
    lines = flat(to_json(render(replace(node, cluster=cluster), "pod-2")))
    return Counter(
        re.sub(r"(?<= )(link/ether|lladdr) [0-9a-f:]{17}", r"\1 MAC", one) for one in lines
    )


def change(profile: Profile, setting: str) -> list[str]:
    before, after = rendered(profile), rendered(profile, setting)
    gone = [f"- {line}" for line in (before - after).elements()]
    return sorted(gone) + sorted(f"+ {line}" for line in (after - before).elements())


def expected(profile: Profile, setting: str) -> list[str]:
    """The lines of the table that are of this era."""
    era, found = "", []
    for line in filter(None, SETTINGS[setting]):
        if line.startswith(("- ", "+ ")):
            found += [line] if era in (profile, "both") else []
        else:
            era = line
    return [one for sign in "-+" for one in sorted(found) if one.startswith(sign)]


@PROFILES
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_changes_these_lines_and_no_others(setting: str, profile: Profile) -> None:
    assert change(profile, setting) == expected(profile, setting)


def test_every_setting_is_in_the_table_with_a_value_that_is_not_its_default() -> None:
    settings = TypeAdapter(CniSettings)
    defaults = settings.dump_python(CniSettings(), by_alias=True)
    named = {setting.partition("=")[0]: setting.partition("=")[2] for setting in SETTINGS}

    assert named.keys() | REFUSED.keys() == defaults.keys()
    for name, value in named.items():
        given = settings.validate_python({name: value}, by_alias=True, by_name=False)
        assert settings.dump_python(given, by_alias=True)[name] != defaults[name], name


@PROFILES
@pytest.mark.parametrize("name", REFUSED)
def test_what_has_one_position_here_is_refused_by_its_name(name: str, profile: Profile) -> None:
    with pytest.raises(DescriptionError, match=name):
        rendered(profile, f"{name}={REFUSED[name]}")
