"""How the loggers of both eras spell a line, and what their levels leave out."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import TypeAdapter

from testbed.eks.environment import CniSettings
from testbed.eks.logs.line import DEBUG, ERROR, INFO, WARN, Line, milliseconds, seelog, zap
from testbed.eks.logs.places import ipamd_place, plugin_place
from testbed.eks.model import Profile

AT = datetime(2026, 11, 29, 7, 20, 6, 123456, UTC)
TIME = "2026-11-29T07:20:06.123Z"
SAID = [Line(level, level, "ipamd/ipamd.go:1") for level in (DEBUG, INFO, WARN, ERROR)]
FILE, LEVEL = "AWS_VPC_K8S_CNI_LOG_FILE", "AWS_VPC_K8S_CNI_LOGLEVEL"
PLUGIN_FILE, PLUGIN_LEVEL = "AWS_VPC_K8S_PLUGIN_LOG_FILE", "AWS_VPC_K8S_PLUGIN_LOG_LEVEL"
POD_LOG = "/var/log/pods/kube-system_aws-node/aws-node/0.log"


def env(**given: str) -> CniSettings:
    return TypeAdapter(CniSettings).validate_python(given)


def test_v1_23_writes_json_as_zap_does() -> None:
    """The keys in zap's order, quotes and control characters escaped, nothing else."""
    line = zap(Line(INFO, 'IPv4Addr:"10.0.0.1" <nil>\n', "ipamd/ipamd.go:475"), TIME)

    head = f'{{"level":"info","ts":"{TIME}","caller":"ipamd/ipamd.go:475","msg":'
    assert line == head + '"IPv4Addr:\\"10.0.0.1\\" <nil>\\n"}\n'
    assert json.loads(line)["msg"].endswith("<nil>\n")


def test_v1_5_writes_text_as_its_seelog_format_says() -> None:
    assert seelog(Line(WARN, "no"), TIME) == f"{TIME} [WARN]\tno\n"


def test_times_are_utc_with_milliseconds() -> None:
    assert milliseconds(AT) == TIME
    assert milliseconds(AT.astimezone(timezone(timedelta(hours=2)))) == TIME


@pytest.mark.parametrize(
    ("profile", "level", "written"),
    [
        ("current", "DEBUG", [DEBUG, INFO, WARN, ERROR]),
        ("current", "Info", [INFO, WARN, ERROR]),
        ("current", "warn", [WARN, ERROR]),
        ("current", "ERROR", [ERROR]),
        ("current", "fatal", []),
        ("current", "", [DEBUG, INFO, WARN, ERROR]),
        ("current", "loud", [DEBUG, INFO, WARN, ERROR]),
        ("slides", "debug", [DEBUG, INFO, WARN, ERROR]),
        ("slides", "trace", [DEBUG, INFO, WARN, ERROR]),
        ("slides", "critical", []),
        ("slides", "off", []),
        ("slides", "", [INFO, WARN, ERROR]),
        ("slides", "loud", [INFO, WARN, ERROR]),
    ],
)
def test_a_level_leaves_out_what_is_less_grave(
    profile: Profile, level: str, written: list[str]
) -> None:
    """A level that is none: zap's `debug`, and v1.5's `info`."""
    place = ipamd_place(profile, env(**{LEVEL: level}))

    lines = place.text(SAID, AT).splitlines()

    assert [one for one in (DEBUG, INFO, WARN, ERROR) if any(one in line for line in lines)] == (
        written
    )


@pytest.mark.parametrize(
    ("profile", "file", "path", "stream"),
    [
        ("current", "", "/var/log/aws-routed-eni/ipamd.log", ""),
        ("current", "/host/var/log/x/y.log", "/var/log/x/y.log", ""),
        ("current", "stdout", POD_LOG, "stdout"),
        ("current", "STDERR", POD_LOG, "stderr"),
        ("slides", "stdout", POD_LOG, "stdout"),
        ("slides", "stderr", "/run/containers/aws-node/stderr", ""),
        ("current", "/tmp/i.log", "/run/containers/aws-node/tmp/i.log", ""),
        (
            "current",
            "/host/var/log/../../../etc/passwd",
            "/run/containers/aws-node/etc/passwd",
            "",
        ),
        ("current", "../../x", "/run/containers/aws-node/x", ""),
        ("current", "//host/var/log/y", "/var/log/y", ""),
    ],
)
def test_ipamd_writes_where_the_variable_says(
    profile: Profile, file: str, path: str, stream: str
) -> None:
    """Below the node's directory, whatever is written: the container ends at its own root."""
    place = ipamd_place(profile, env(**{FILE: file}))

    assert (place.path, place.stream) == (path, stream)


def test_output_of_a_container_is_kept_as_the_runtime_keeps_it() -> None:
    text = ipamd_place("current", env(**{FILE: "stderr"})).text(SAID[:1], AT)

    assert text.startswith('2026-11-29T07:20:06.123456000Z stderr F {"level":"debug"')


def test_the_plugin_writes_where_its_own_variables_say() -> None:
    """Empty is its standard error; v1.5's has none of aws-node's environment."""
    place = plugin_place("current", env(**{PLUGIN_FILE: "/var/log/p.log", PLUGIN_LEVEL: "error"}))
    assert place is not None
    assert (place.path, place.text(SAID, AT).count("\n")) == ("/var/log/p.log", 1)
    assert plugin_place("current", env(**{PLUGIN_FILE: ""})) is None
    assert plugin_place("current", env(**{PLUGIN_FILE: "stderr"})) is None
    fixed = plugin_place("slides", env(**{FILE: "stdout", LEVEL: "error", PLUGIN_FILE: "/x"}))
    assert fixed is not None
    assert (fixed.path, fixed.stream) == ("/var/log/aws-routed-eni/plugin.log", "")
    assert fixed.text(SAID, AT).count("\n") == 3
