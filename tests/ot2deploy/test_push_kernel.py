"""`push --kernel`: an environment in the robot's Jupyter, and what stands in its way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

# Stands for ipykernel where nothing is started.
LAUNCHER = "STARTED = False\n"


@pytest.fixture
def lab(workplace):
    """A workplace with environments `plates`, which has ipykernel, and `bare`, which has not."""
    plates = workplace.wheel("plates")
    ipykernel = workplace.wheel("ipykernel", files={"ipykernel_launcher.py": LAUNCHER.encode()})
    workplace.environment("plates", plates, ipykernel)
    workplace.environment("bare", plates)
    return workplace


def kernels(workplace, name="r1") -> Path:
    return workplace.lab.root(name) / "var/lib/jupyter/data/kernels"


def test_a_pushed_environment_is_offered_by_jupyter(lab):
    result = lab.run("push", "plates", "--kernel")
    kernel = json.loads((kernels(lab) / "ot2deploy-plates" / "kernel.json").read_text())
    assert kernel["display_name"] == result["importable"]["jupyter"] == "plates (ot2deploy)"
    assert [line["op"] for line in lab.run("history")["lines"]].count("kernel") == 1


def test_what_is_current_already_gets_its_kernel_too(lab):
    lab.push("plates")
    assert not kernels(lab).exists()
    row = lab.push("plates", "--kernel")
    assert (row["outcome"], row["kernel"]) == ("no change", "ot2deploy-plates")
    assert (kernels(lab) / "ot2deploy-plates" / "kernel.json").exists()


def test_without_ipykernel_nothing_is_sent(lab):
    row = lab.push("bare", "--kernel", status=1)
    assert row["error"]["code"] == "no-kernel"
    assert "ipykernel" in row["error"]["next"]
    assert lab.lab.current("bare") is None


def test_what_is_shared_needs_no_kernel_of_its_own(lab):
    assert "--shared" in lab.run("push", "plates", "--shared", "--kernel", status=2)["what"]


def test_a_dry_run_registers_nothing(lab):
    lab.push("plates", "--kernel", "--dry-run")
    assert not kernels(lab).exists()


def test_a_robot_without_jupyter_is_told_and_has_the_release(lab):
    (lab.lab.root("r1") / "var/lib/jupyter/data").rmdir()
    row = lab.push("plates", "--kernel", status=1)
    assert "Jupyter" in row["error"]["what"]
    assert lab.lab.current("plates") is not None


def test_all_or_none_offers_no_kernel_of_a_release_that_is_taken_back(workplace_of):
    two = workplace_of(2)
    ipykernel = two.wheel("ipykernel", files={"ipykernel_launcher.py": LAUNCHER.encode()})
    two.environment("plates", two.wheel("plates"), ipykernel, more="checks:\n  live:\n    - program: live.py")
    live = two.directory / "environments" / "plates" / "live.py"
    live.write_text("import sys\nsys.exit('lab/r2/root' in sys.prefix)\n")
    options = ("--canary", "1", "--all-or-none", "--kernel")
    rows = two.push("plates", *options, status=4)
    assert [(row["outcome"], row["kernel"]) for row in rows.values()] == [("rolled back", None)] * 2
    assert not kernels(two).exists()
    live.write_text("")
    rows = two.push("plates", *options)
    assert [(row["outcome"], row["kernel"]) for row in rows.values()] == [("switched", "ot2deploy-plates")] * 2
    assert kernels(two).exists()
    assert kernels(two, "r2").exists()


@pytest.mark.network
@pytest.mark.slow
def test_jupyter_runs_a_notebook_in_it(workplace, shared_cache, monkeypatch):
    """The real ipykernel in a release, started by the real client as Jupyter does it."""
    from jupyter_client.manager import start_new_kernel

    plates = workplace.wheel("plates")
    workplace.environment("lab", plates, more="  - ipykernel\n")
    workplace.run("push", "lab", "--kernel")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(kernels(workplace).parent))
    manager, client = start_new_kernel(kernel_name="ot2deploy-lab", startup_timeout=60)
    try:
        assert answered(client, "1 + 1") == "2"
        assert answered(client, "import plates; plates.VALUE") == "1"
        assert workplace.lab.current("lab") in answered(client, "import sys; sys.prefix")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def answered(client, code: str) -> str:
    """The value of a cell's last expression, as text."""
    values: list[str] = []

    def take(message) -> None:
        if message["header"]["msg_type"] == "execute_result":
            values.append(message["content"]["data"]["text/plain"])

    reply = client.execute_interactive(code, output_hook=take, timeout=60)
    assert reply["content"]["status"] == "ok", reply["content"]
    return values[-1]
