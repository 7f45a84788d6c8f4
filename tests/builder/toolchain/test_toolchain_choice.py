"""The words for toolchains, and which of them a host can use."""

from __future__ import annotations

import pytest

from builder.errors import UsageFailure
from builder.toolchain.choice import Choice, parse, supported
from builder.toolchain.compiler import identity_of

PINNED = "gcc:https://example.org/sdk.tar.xz#sha256=" + "0" * 64


@pytest.mark.parametrize(
    ("name", "choice"),
    [
        ("zig", Choice()),
        ("gcc:/opt/sdk", Choice(compiler="gcc:/opt/sdk")),
        (PINNED, Choice(compiler=PINNED)),
        ("container", Choice(container=True)),
        ("container:gcc:debian", Choice(compiler="gcc:debian", container=True)),
        ("container=python:3.10-slim", Choice(container=True, image="python:3.10-slim")),
        (
            "container=reg.example:5000/a/b@sha256:00:zig",
            Choice(container=True, image="reg.example:5000/a/b@sha256:00"),
        ),
        (f"container=python:3.10:{PINNED}", Choice(compiler=PINNED, container=True, image="python:3.10")),
    ],
)
def test_names(name: str, choice: Choice) -> None:
    assert parse(name) == choice


@pytest.mark.parametrize("name", ["", "gcc", "gcc:", "clang", "container:clang", "container=", "zig:x", "docker"])
def test_names_of_nothing(name: str) -> None:
    with pytest.raises(UsageFailure, match="no toolchain is named"):
        parse(name)


def test_a_build_in_a_container_is_not_taken_for_one_without() -> None:
    names = ("zig", "container", "container=python:3.11-slim")
    assert len({str(sorted(identity_of(name).items())) for name in names}) == 3


@pytest.mark.parametrize(
    ("system", "machine", "docker", "debian", "count"),
    [
        ("Linux", "x86_64", True, True, 5),
        ("Linux", "x86_64", False, False, 3),
        ("Linux", "aarch64", True, True, 4),
        ("Darwin", "arm64", True, False, 1),
        ("Windows", "AMD64", False, False, 0),
    ],
)
def test_what_a_host_supports(system: str, machine: str, docker: bool, debian: bool, count: int) -> None:
    assert len(supported(system, machine, docker=docker, debian=debian)) == count
