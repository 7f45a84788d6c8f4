"""`wheel qualify` and `verify --emulate`: a real package is built, bundled and run on an emulated ARM interpreter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ENVIRONMENT = "requirements: [markupsafe==3.0.2]\nas_of: 2025-04-20\nchecks:\n  quick:\n    - program: escapes.py\n"
ESCAPES = "from markupsafe import _speedups, escape\nassert str(escape('<')) == '&lt;'\n"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A project with one environment."""
    directory = tmp_path / "environments" / "lab"
    directory.mkdir(parents=True)
    (directory / "environment.yaml").write_text(ENVIRONMENT)
    (directory / "escapes.py").write_text(ESCAPES)
    return directory


def test_a_target_needs_a_profile(run_cli, lab: Path) -> None:
    for words in (("wheel", "qualify", "lab"), ("verify", "lab", "--emulate")):
        ran = run_cli(*words)
        assert ran.status == 2
        assert "Add --profile NAME, one of: debian-12-armhf, ot2-py310, ot2-py312" in ran.err


def test_a_wrong_file_of_known_failures_is_told_before_anything_is_made(run_cli, lab: Path, tmp_path: Path) -> None:
    (tmp_path / "known.yaml").write_text("- check: a\n")
    ran = run_cli("wheel", "qualify", "lab", "--profile", "ot2-py310", "--known", "known.yaml")
    assert ran.status == 2
    assert "known.yaml:1: reason: must be there" in ran.err


def test_this_computer_is_not_emulated(run_cli, lab: Path) -> None:
    assert "host is this computer" in run_cli("wheel", "qualify", "lab", "--profile", "host").err


def test_a_profile_of_verify_is_for_emulation(run_cli, lab: Path) -> None:
    assert "--profile is for --emulate" in run_cli("verify", "lab", "--profile", "ot2-py310").err


def test_robots_are_not_for_emulation(run_cli, lab: Path) -> None:
    words = ("verify", "lab", "--emulate", "--profile", "ot2-py310", "--limit", "otto", "-j", "2")
    ran = run_cli(*words)
    assert ran.status == 2
    assert "--emulate and --limit, --jobs exclude each other" in ran.err


@pytest.mark.emulated
@pytest.mark.slow
def test_a_bundle_file_is_proved_by_its_twin(run_cli, lab: Path, shared_cache: Path) -> None:
    run_cli("bundle", "lab", "--profile", "ot2-py310", "-o", "lab.ot2bundle").good()
    (lab / "known-failures.yaml").write_text("- {check: pip check, reason: it is good now}\n")
    ran = run_cli("wheel", "qualify", "lab.ot2bundle", "--strict", "--json")
    assert ran.status == 1  # for the entry that nothing needed
    (found,) = ran.document["result"]["qualified"]
    assert (found["state"], found["profile"]) == ("audited, not emulated", "ot2-py310")
    assert found["why"] == "no ARM interpreter of Python 3.10 is at hand"
    assert {check["kind"] for check in found["checks"]} == {"audit"}
    twin = found["twin"]
    assert (twin["state"], twin["title"]) == ("emulated", "cp311 twin of ot2-py310 on debian-12-armhf")
    states = {check["name"]: check["state"] for check in twin["checks"] if check["kind"] != "audit"}
    assert states == {"escapes": "ok", "import markupsafe._speedups": "ok", "pip check": "ok"}
    assert [Path(place).name for place in twin["unused"]] == ["known-failures.yaml:1"]
    told = run_cli("bundle", "lab", "--profile", "ot2-py310", "-o", "lab.ot2bundle").good().out
    assert "audited; cp311 twin of ot2-py310 on debian-12-armhf: failed when emulated" in told
    text = run_cli("wheel", "qualify", "lab.ot2bundle").good().out
    assert "for ot2-py310: audited, not emulated (no ARM interpreter of Python 3.10 is at hand)" in text
    assert "for cp311 twin of ot2-py310 on debian-12-armhf: emulated" in text
    assert "1 wheel audited; 3 checks: 3 ok on CPython 3.11.2 of debian-12-armhf, QEMU cortex-a7" in text


@pytest.mark.emulated
@pytest.mark.slow
def test_an_environment_is_verified_without_a_robot(run_cli, lab: Path, shared_cache: Path) -> None:
    (lab / "escapes.py").write_text("raise SystemExit('not today')\n")
    ran = run_cli("verify", "lab", "--emulate", "--profile", "debian-12-armhf")
    assert ran.status == 1
    assert "lab" in ran.out
    assert "for debian-12-armhf: emulated" in ran.out
    assert json.dumps("not today") in ran.out  # in the snippet for known-failures.yaml
