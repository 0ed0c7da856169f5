"""Whatever a manifest holds, the answer is a lab that can be planned or one message."""

import pytest
from hypothesis import strategies as st

from testbed.allocations import allocate
from testbed.daemon.changes.manifests import put
from testbed.errors import DescriptionError, UsageError
from testbed.kubernetes import manifests
from testbed.kubernetes.kube_proxy import ERAS, KubeProxy
from testbed.load import parse
from testbed.plan import plan
from testbed.services.kube_proxy.from_manifests import ports_of
from testbed.services.kube_proxy.rules import ProxyNode
from testbed.services.kube_proxy.text import node_text
from tests.inputs.manifests import APP, MANIFESTS, TOPOLOGY
from tests.inputs.shares import tried
from tests.inputs.spellings import block
from tests.inputs.test_topologies import VALUES

LAB = parse(TOPOLOGY, "lab.yaml")


def answer(text: str) -> bool:
    """Whether a text is taken.  Nothing may come out of it but that or one message."""
    try:
        lab, _ = put(LAB, {"app.yaml": text})
        rendered({"app.yaml": text})
    except UsageError as empty:
        return well_refused(empty, said=str(empty) == "there is no object in app.yaml")
    except DescriptionError as error:
        return well_refused(error, said=error.where.file == "app.yaml" and error.where.line > 0)
    plan(lab, allocate(lab))
    return True


def rendered(files: dict[str, str]) -> None:
    """The same to `render kube-proxy`, which knows no lab."""
    for era in ERAS:
        node_text(
            ports_of(manifests.parse(files), era), KubeProxy(era=era), ProxyNode(name="node-1")
        )


def well_refused(error: Exception, *, said: bool) -> bool:
    """Never taken; the message says where, on one line."""
    assert said, error
    assert "\n" not in str(error)
    return False


def test_the_good_one_is_good() -> None:
    """Premise of the others."""
    assert answer(APP)


def test_manifests_as_the_schema_has_them(request: pytest.FixtureRequest) -> None:
    """Every field of every kind, in every spelling, with a slip here and there."""
    taken = 0

    def check(text: str) -> None:
        nonlocal taken
        taken += answer(text)

    tried(request, MANIFESTS, check)
    assert taken > 30, "premise: what is refused at its first line says little"


def test_documents_of_any_shape(request: pytest.FixtureRequest) -> None:
    """YAML, but nothing of Kubernetes."""
    tried(request, st.lists(VALUES, max_size=3).map(block), answer)


def test_a_manifest_with_a_piece_torn_out(request: pytest.FixtureRequest) -> None:
    """An edit that went wrong."""

    def torn(start: int, length: int, instead: str) -> str:
        return APP[:start] + instead + APP[start + length :]

    pieces = st.builds(torn, st.integers(0, len(APP)), st.integers(0, 40), st.text(max_size=10))
    tried(request, pieces, answer)
