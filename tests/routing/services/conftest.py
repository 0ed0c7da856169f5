"""`explain` for the labs of these tests: the fixtures of the CNI's own, on another `bed`."""

from tests.routing.cni.conftest import explain as explain
from tests.routing.cni.conftest import observer as observer
