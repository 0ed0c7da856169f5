"""The limits of instance types."""

import pytest

from testbed.errors import DescriptionError
from testbed.vpc.instance_types import limits


@pytest.mark.parametrize(
    ("instance_type", "enis", "ipv4_per_eni"),
    [("t3.small", 3, 4), ("t3.medium", 3, 6), ("m5.large", 3, 10), ("c5.xlarge", 4, 15)],
)
def test_limits_are_those_of_the_cni_s_table(instance_type, enis, ipv4_per_eni):
    found = limits(instance_type)

    assert (found.enis, found.ipv4_per_eni) == (enis, ipv4_per_eni)


def test_an_unknown_type_names_the_nearest_one():
    with pytest.raises(DescriptionError, match=r"'t3\.smal'; did you mean t3\.small\?"):
        limits("t3.smal")


def test_a_type_like_no_other_says_what_one_looks_like():
    with pytest.raises(DescriptionError, match="expected one like"):
        limits("computer")


def test_the_note_on_the_source_is_not_a_type():
    with pytest.raises(DescriptionError):
        limits("_source")
