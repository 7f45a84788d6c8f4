"""Three faults of an ARM robot in the middle of a push; `scripts/chaos --kind amd64` tries many more on faster ones."""

import os
from pathlib import Path

import pytest
from chaos_faults import Fault
from chaos_yard import SETTINGS, yard
from chaos_yard_faults import run_yard_fault

pytestmark = [pytest.mark.arm, pytest.mark.slow]

BASE = "/var/chaos"
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "tests"


@pytest.fixture(scope="module")
def broken_arm_robot(arm_lab, tmp_path_factory):
    """A Yard: sim2 with a base directory of its own."""
    settings = SETTINGS.load(arm_lab.inventory.read_text())["robots"]["sim2"]
    cache = Path(os.environ.get("OT2DEPLOY_TESTS_CACHE") or CACHE)
    with yard(tmp_path_factory.mktemp("faults"), cache, settings, arm_lab.container("sim2"), BASE) as made:
        yield made


@pytest.mark.parametrize("kind", ["docker pause", "reboot", "agent killed"])
def test_what_is_current_works_and_the_next_push_converges_after(broken_arm_robot, kind):
    assert run_yard_fault(broken_arm_robot, Fault(kind=kind, seed=100)).wrong == ()
