"""Who is there: by mDNS from a responder on the loopback, among this computer's neighbours, at addresses."""

import socket
import sys
import threading
from types import SimpleNamespace

import pytest

from builder.errors import UsageFailure
from ot2deploy.enroll import discover
from ot2deploy.project import Project
from ot2deploy.robots.api import About
from ot2deploy.robots.find import Place
from ot2deploy.sim.api import Api, Server

LOOPBACK = ["127.0.0.1"]


class Machine:
    """What an API says of its robot."""

    def __init__(self, serial, name):
        self.serial, self.name = serial, name

    def facts(self):
        return {"name": self.name, "serial": self.serial, "api_version": "7.3.1", "system_version": "1"}


@pytest.fixture
def api():
    """A function that serves a robot's HTTP API; gives its port."""
    servers = []

    def serve(serial, name="otto"):
        servers.append(Server(Api(machine=Machine(serial, name))))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return servers[-1].server_address[1]

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def project(tmp_path):
    return Project.find(tmp_path)


@pytest.fixture
def announce():
    """A function that announces a service by mDNS on the loopback."""
    zeroconf = pytest.importorskip("zeroconf")
    responder = zeroconf.Zeroconf(interfaces=LOOPBACK)

    def tell(name, port, **properties):
        responder.register_service(
            zeroconf.ServiceInfo(
                discover.KIND, f"{name}.{discover.KIND}", addresses=[socket.inet_aton("127.0.0.1")], port=port,
                properties=properties, server=f"{name}.local.",
            )
        )  # fmt: skip

    yield tell
    responder.close()


def test_robots_that_say_so_by_mdns_are_found_and_printers_are_not(announce, monkeypatch, project, api):
    port = api("OT2A")
    announce("otto", port, robotModel="OT-2 Standard")
    announce("older", discover.HTTP_PORT)
    announce("printer", port, note="a printer")
    found, note = discover.by_mdns(3.0, LOOPBACK)
    assert set(found) == {
        Place(address="127.0.0.1", http_port=port), Place(address="127.0.0.1", http_port=discover.HTTP_PORT)
    }  # fmt: skip
    assert note == ""
    monkeypatch.setattr(discover, "by_mdns", lambda seconds: (found, ""))
    monkeypatch.setattr(discover, "neighbours", tuple)
    assert [seen.about.serial for seen in discover.look(project).robots] == ["OT2A"]


def test_without_zeroconf_the_note_says_how_to_get_it(monkeypatch, project):
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    monkeypatch.setattr(discover, "neighbours", tuple)
    sight = discover.look(project)
    assert sight.robots == ()
    assert "ot2deploy[lab]" in sight.notes[0]


def test_of_the_neighbours_those_on_a_cable_are_asked(monkeypatch):
    listed = (
        "169.254.92.42 dev usb0 lladdr b8:27:eb:00:00:01 STALE \n"
        "192.168.1.1 dev wlan0 lladdr 02:00:00:00:00:01 STALE \n"
        "169.254.1.1 dev usb0 FAILED\n\n"
    )
    monkeypatch.setattr(discover, "run", lambda *words, **more: SimpleNamespace(stdout=listed))
    assert discover.neighbours() == (Place(address="169.254.92.42", http_port=31950),)


@pytest.mark.parametrize(
    ("address", "is_one"),
    [
        ("169.254.92.42", True),
        ("fe80::1%usb0", True),
        ("192.168.1.20", False),
        ("127.0.0.1", False),
        ("otto.local", False),
    ],
)
def test_an_address_of_a_cable_is_known(address, is_one):
    assert discover.is_link_local(address) is is_one


def test_a_robot_that_answers_twice_is_one_and_its_cable_comes_first(monkeypatch, project):
    known = {
        "192.168.1.20": "OT2A",
        "169.254.92.42": "OT2A",
        "192.168.1.21": "OT2B",
        "10.0.0.1": "../etc",
        "10.0.0.2": "",
    }
    monkeypatch.setattr(
        discover, "ask",
        lambda place: About(
            address=place.address, http_port=1, name="a\x1b[31mb", serial=known[place.address], software="7"
        ),
    )  # fmt: skip
    sight = discover.look(project, ",".join(known), port=2222)
    assert [(seen.about.serial, seen.about.address, seen.by, seen.port) for seen in sight.robots] == [
        ("OT2A", "169.254.92.42", "cable", 2222),
        ("OT2B", "192.168.1.21", "network", 2222),
    ]
    assert sight.robots[0].about.name == "a?[31mb"  # nothing that a terminal obeys


def test_who_is_no_robot_and_what_is_no_address(project, api):
    places = f"127.0.0.1:{api('OT2A')},127.0.0.1:{api('no serial number')},127.0.0.1:9"
    assert [seen.about.serial for seen in discover.look(project, places).robots] == ["OT2A"]
    with pytest.raises(UsageFailure, match="--address: `x/y`"):
        discover.look(project, "x/y")
