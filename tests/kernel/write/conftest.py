"""The small lab, up."""

from collections.abc import Iterator

import pytest

from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.write.apply import apply
from tests.kernel.write.small_lab import LAB


@pytest.fixture
def store() -> Iterator[LocalStore]:
    """Namespaces that vanish after the test."""
    with LocalStore() as namespaces:
        yield namespaces


@pytest.fixture
def lab(store: LocalStore) -> LocalStore:
    """The small lab, applied."""
    apply(store, LAB)
    return store
