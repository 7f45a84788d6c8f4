"""`ot2deploy toolchain`: what a build for a profile would use."""

from __future__ import annotations

import pytest


def test_compiler_headers_and_variables_are_told(run_cli):
    (told,) = run_cli("toolchain", "show", "--profile", "host", "--json").good().document["result"]["toolchains"]
    assert told["compiler"].startswith("zig ")
    assert told["identity"]["kind"] == "zig"
    assert told["headers"]["kind"] == "host"
    assert told["variables"]["OT2_CROSS_TARGET"]
    assert told["variables"]["CC"] == "ot2-cc"
    assert told["variables"]["VIRTUAL_ENV"] == "BUILD/venv"


def test_unknown_profile_is_told_with_the_known_ones(run_cli):
    ran = run_cli("toolchain", "show", "--profile", "ot2-py31")
    assert ran.status == 2
    assert "ot2-py310" in ran.err


@pytest.mark.parametrize("command", ["show", "prepare"])
def test_unknown_toolchain_is_told_with_the_known_ones(run_cli, command: str):
    ran = run_cli("toolchain", command, "--profile", "ot2-py310", "--toolchain", "clang")
    assert ran.status == 2
    assert "container[=IMAGE]" in ran.err


def test_the_toolchain_may_stand_in_the_environment(run_cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OT2DEPLOY_TOOLCHAIN", "gcc:/no/such/sdk")
    ran = run_cli("toolchain", "show", "--profile", "ot2-py310")
    assert ran.status == 2
    assert "there is no directory /no/such/sdk" in ran.err
