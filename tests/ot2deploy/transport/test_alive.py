"""A robot that is gone behind something that still answers for it is noticed; one that just says nothing is not."""

import time

import pytest

from ot2deploy.errors import ConnectionLost
from ot2deploy.transport import alive
from ot2deploy.transport.ssh import connect


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(alive, "KEEPALIVE", 0.2)
    monkeypatch.setattr(alive, "SILENCE", 1.5)


@pytest.mark.parametrize("size", [20_000, 50_000_000], ids=["while reading", "while writing"])
def test_a_connection_that_carries_nothing_any_more_is_lost(embedded_lab, cutting_proxy, size):
    lab = embedded_lab(1)
    with cutting_proxy(lab.robots["r1"].port, after=15_000, silent=True) as port:
        lab.write(r1={"port": port})
        with connect(lab.robots["r1"]) as session, pytest.raises(ConnectionLost):
            session.run("cat", input=bytes(size), timeout=40)


def test_a_command_that_says_nothing_for_long_is_waited_for(embedded_robot):
    begun = time.monotonic()
    with connect(embedded_robot) as session:
        assert session.run("sleep 4; echo done").text == "done\n"
    assert time.monotonic() - begun > 2 * alive.SILENCE
