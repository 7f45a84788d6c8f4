"""One robot for all faults of a test process."""

import pytest
from chaos_place import place


@pytest.fixture(scope="session")
def broken_robot(tmp_path_factory):
    """A Place; see chaos_place. Its directories are its own, and every fault sets it back first."""
    with place(tmp_path_factory.mktemp("chaos")) as made:
        yield made
