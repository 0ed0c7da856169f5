"""Manifests that nobody has designed, on a running lab: as planned, or refused whole."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.cli.conftest import Commands, OnAHost
from tests.cli.forked import run
from tests.inputs.manifests import MANIFESTS, TOPOLOGY

pytestmark = pytest.mark.kernel

FEW = 15  # of the many that tests/inputs tries without a kernel


def objects() -> list[dict[str, object]]:
    """What the lab has."""
    rows = [json.loads(run("get", kind, "-o", "json").output) for kind in ("pods", "services")]
    return [row for kind in rows for row in kind]


@settings(
    max_examples=FEW,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(MANIFESTS)
def whole_or_not_at_all(text: str) -> None:
    """Each comes upon what the ones before have left."""
    Path("app.yaml").write_text(text)
    before = objects()

    done = run("apply", "-f", "app.yaml")

    assert done.code in (0, 2), done
    assert done.code == 0 or done.errors.startswith("error: app.yaml"), done
    assert done.code == 0 or objects() == before
    assert run("verify").code == 0


def test_what_is_applied_is_as_planned_and_what_is_not_changes_nothing(
    on_a_host: OnAHost,
) -> None:
    def test(commands: Commands) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(commands.file.parent)
            Path("lab.yaml").write_text(TOPOLOGY)
            assert run("up", "lab.yaml").code == 0
            whole_or_not_at_all()
            done = run("matrix")
            assert done.code == 0, done

    on_a_host(test)
