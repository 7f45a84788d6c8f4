"""`ot2deploy doctor`: what is needed fails, what is optional warns, and each names its fix."""

from pathlib import Path

import pytest

from builder.errors import ToolFailure
from ot2deploy import doctor


def missing():
    raise ToolFailure("zig is not here", next="Install it.")


def test_a_part_that_is_there():
    finding = doctor.looked("zig", lambda: "0.14", without="compiling")
    assert (finding.state, finding.detail, finding.needed) == ("ok", "0.14", False)


def test_an_optional_part_that_is_missing_warns_and_says_what_is_lost():
    finding = doctor.looked("zig", missing, without="compiling")
    assert (finding.state, finding.fix) == ("warning", "Install it.")
    assert finding.detail == "zig is not here (only for compiling)"
    assert doctor.Report(findings=(finding,)).exit_code == 0


def test_a_needed_part_that_is_missing_fails():
    finding = doctor.looked("uv", missing)
    assert finding.state == "missing"
    assert doctor.Report(findings=(finding,)).exit_code == 1


@pytest.mark.parametrize(
    ("free", "state"), [(50_000_000_000, "ok"), (1_000_000_000, "warning"), (10_000_000, "missing")]
)
def test_room(free, state):
    assert doctor.room(Path("/x"), free).state == state


def test_a_clock_before_the_installation_is_wrong():
    now = 1_750_000_000.0
    assert doctor.clock(now, now - 1e6).state == "ok"
    wrong = doctor.clock(now, now + 1e6)
    assert wrong.state == "warning"
    assert "Set the clock" in wrong.fix


def test_keys_of_a_kind_that_the_robot_takes(tmp_path):
    (tmp_path / "id_ecdsa.pub").write_text("")
    assert doctor.ssh_keys((), tmp_path).state == "ok"
    assert doctor.ssh_keys(("RSA",), tmp_path / "none").detail == "RSA in the agent"


def test_an_ed25519_key_is_explained(tmp_path):
    (tmp_path / "id_ed25519.pub").write_text("")
    finding = doctor.ssh_keys((), tmp_path)
    assert finding.state == "warning"
    assert "refuses that kind" in finding.detail
    assert "ssh-keygen -t ecdsa" in finding.fix


def test_no_key_is_a_warning(tmp_path):
    assert doctor.ssh_keys((), tmp_path).state == "warning"


def test_the_whole_report(run_cli):
    ran = run_cli("doctor", "--json")
    names = [finding["name"] for finding in ran.document["result"]["findings"]]
    assert {"python", "store", "disk", "clock", "uv", "ssh key", "zig", "docker", "ARM emulation"} <= set(names)
    assert ran.status == ran.document["exit_code"]
    for finding in ran.document["result"]["findings"]:
        assert finding["state"] == "ok" or finding["fix"], finding
    text = run_cli("doctor")
    assert text.status == ran.status
    assert all(name in text.out for name in names)
