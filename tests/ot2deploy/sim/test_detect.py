"""The decision which robots a host can simulate."""

import pytest

from ot2deploy.sim.detect import HostFacts, decide

GOOD = HostFacts(linux=True, root=True, debian=True, docker="20.10", machine="x86_64", system="Debian", emulation=True)
USER = {"root": False, "debian": True}


def having(**changed):
    return HostFacts(**{**{name: getattr(GOOD, name) for name in HostFacts.__dataclass_fields__}, **changed})


@pytest.mark.parametrize(
    ("facts", "kind", "why"),
    [
        (GOOD, "arm", "emulation is there"),
        (having(emulation=False), "arm", "can be had"),
        (having(docker="", docker_why="permission denied"), "embedded", "permission denied"),
        (having(emulation=False, **USER), "embedded", "does not run ARM"),
        (having(emulation=True, **USER), "arm", "emulation is there"),
        (having(emulation=False, machine="aarch64", **USER), "arm", "aarch64"),
        (having(emulation=False, system="Docker Desktop", linux=False, root=False, debian=False), "arm", "can be had"),
        (having(emulation=False, debian=False), "embedded", "does not run ARM"),
    ],
)
def test_auto(facts, kind, why):
    decision = decide(facts)
    assert decision.kind == kind
    assert why in decision.why


def test_steps_name_what_will_be_done_to_the_host():
    lacking = having(emulation=False, missing=("mmdebstrap", "qemu-user-static"))
    assert decide(lacking).steps == (
        "install the system package mmdebstrap",
        "install the system package qemu-user-static",
        "register qemu-arm with the kernel",
    )
    assert decide(lacking, "amd64").steps == ("install the system package mmdebstrap",)
    assert decide(lacking, "embedded").steps == ()
    assert decide(GOOD).steps == ()


def test_the_profile_is_the_robots_one():
    assert decide(GOOD).as_dict()["profile"] == "debian-12-armhf"
    assert decide(GOOD, "embedded").profile == "host"
