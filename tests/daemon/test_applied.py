"""What a worker leaves behind is what the next one finds: the lab, its addresses, its facts."""

from pathlib import Path

import pytest

from testbed.allocations import allocate
from testbed.daemon.changes.applied import record, recorded, sent
from testbed.errors import KernelError
from testbed.kubernetes.manifests import ObjectName
from testbed.lab import to_json
from testbed.load import load
from testbed.plan import listeners, plan

TOPOLOGIES = Path(__file__).parents[2] / "topologies"


@pytest.mark.parametrize("file", sorted(TOPOLOGIES.glob("*.yaml")), ids=lambda file: file.stem)
def test_a_record_is_the_lab_and_all_that_follows_from_it(file: Path) -> None:
    lab = load(file)
    allocations = allocate(lab)
    names = frozenset({("eks", ObjectName("Service", "default", "web"))})

    found, given, written = recorded(record(lab, allocations, names).encode())

    assert (found, given, written) == (lab, allocations, names)
    assert plan(found, given) == plan(lab, allocations)
    assert listeners(found, given) == listeners(lab, allocations)


def test_a_lab_with_what_only_another_version_knows_is_told_in_one_sentence() -> None:
    described = to_json(load(TOPOLOGIES / "eks.yaml"))

    assert sent(described).name == described["name"]
    with pytest.raises(KernelError, match="another version of the testbed"):
        sent(described | {"since": "tomorrow"})
