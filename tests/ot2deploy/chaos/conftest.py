"""One robot for all faults of a test process."""

import os
from pathlib import Path

import pytest
from chaos_place import place

CACHE = Path(__file__).resolve().parents[3] / ".cache" / "tests"


@pytest.fixture(scope="session")
def broken_robot(tmp_path_factory):
    """A Place; see chaos_place. Its directories are its own, and every fault sets it back first."""
    cache = Path(os.environ.get("OT2DEPLOY_TESTS_CACHE") or CACHE)
    with place(tmp_path_factory.mktemp("chaos"), cache) as made:
        yield made
