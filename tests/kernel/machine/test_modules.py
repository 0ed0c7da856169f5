"""A module is loaded only where a lab says that it needs it."""

import pytest

from testbed.errors import MissingFeature
from testbed.kernel.machine.modules import Modules, load
from testbed.kernel.machine.scratch import in_child
from testbed.lab import kernel_modules
from testbed.load import load as load_topology
from tests import ordinary


def test_only_kops_labs_need_a_module(topologies):
    """No use of a bridge loads br_netfilter; every other module comes by itself."""
    assert kernel_modules(load_topology(topologies / "kops.yaml")) == ("br_netfilter",)
    assert kernel_modules(load_topology(topologies / "eks.yaml")) == ()


def test_a_module_that_is_there_is_not_loaded():
    assert not load("br_netfilter", Modules("6.12.0", True, frozenset({"br_netfilter"})))
    assert not load("br_netfilter", Modules("6.12.0", dynamic=False)), "a kernel without modules"


@pytest.mark.kernel
def test_a_module_that_cannot_be_loaded_is_named():
    """With what modprobe says."""
    kernel = Modules("6.12.0", dynamic=True)

    with pytest.raises(MissingFeature, match="this lab needs the kernel module testbed_no_such"):
        load("testbed_no_such", kernel)


@pytest.mark.kernel
def test_an_ordinary_user_is_told_who_can_load_it():
    ordinary.skip_unless_possible()

    def attempt() -> None:
        ordinary.become()
        load("testbed_no_such", Modules("6.12.0", dynamic=True))

    with pytest.raises(MissingFeature, match="only root can load it: sudo modprobe"):
        in_child(attempt)
