"""What a frozen robot's file says, from packages as values."""

from __future__ import annotations

import pytest

from builder import environment_file
from ot2deploy.errors import NotInstalled
from ot2deploy.robots.freeze import freeze
from ot2deploy.robots.packages import BY_HAND, OURS, PROTOCOLS, SYSTEM, Environment, Package, RobotPackages


def package(name, version, environment=None, layer=BY_HAND, used=True):
    return Package(
        name=name, version=version, layer=OURS if environment else layer, directory="/x", environment=environment,
        used_by=(environment or PROTOCOLS,) if used else (),
    )  # fmt: skip


def environment(name, **changes):
    settings = {"digest": "0" * 64, "as_of": None, "system_packages": False, "variables": (), "local": frozenset()}
    return Environment(name=name, **{**settings, **changes})


def robot(*packages, environments=(), python="3.10"):
    return RobotPackages(
        robot="otto", look="ot2deploy robot packages otto", python=python, packages=packages,
        environments=environments, loose=(),
    )  # fmt: skip


def test_by_hand_is_what_is_asked_for_without_environments():
    found = robot(package("numpy", "1.21.6", layer=SYSTEM), package("attrs", "23.1"), package("plates", "1", "lab"))
    assert freeze(found, by_hand=True).requirements == ("attrs==23.1",)


def test_an_environment_keeps_its_date_and_settings(tmp_path):
    lab = environment("lab", as_of="2025-04-20", system_packages=True, local=frozenset({"own"}))
    packages = (package("attrs", "23.1", "lab"), package("Own", "1", "lab"), package("attrs", "22", "other"))
    frozen = freeze(robot(*packages, environments=(lab, environment("other"))), ["lab"], by_hand=False)
    path = tmp_path / "lab" / "environment.yaml"
    path.parent.mkdir()
    path.write_text(frozen.text)
    read = environment_file.load(path)
    assert (read.requirements, read.as_of, read.system_packages, read.python) == (
        ("attrs==23.1",), "2025-04-20", True, "3.10"
    )  # fmt: skip
    assert frozen.left_out == ("Own 1: made from local files of who pushed lab",)


def test_of_one_name_ours_counts_and_a_date_would_hide_what_is_younger():
    lab = environment("lab", as_of="2025-04-20")
    packages = (package("attrs", "24"), package("attrs", "23.1", "lab"), package("idna", "3", used=False))
    frozen = freeze(robot(*packages, environments=(lab,), python="3.12"), ["lab"], by_hand=True)
    assert frozen.requirements == ("attrs==23.1", "idna==3")
    assert frozen.left_out == ("attrs 24 (by hand): environment lab has 23.1",)
    assert frozen.as_of is None
    assert "idna==3  # not used there" in frozen.text
    assert 'python: "3.12"' in frozen.text


def test_an_environment_that_is_not_there():
    with pytest.raises(NotInstalled) as caught:
        freeze(robot(environments=(environment("lab"),)), ["lap"], by_hand=False)
    assert caught.value.why == "On the robot: lab."
