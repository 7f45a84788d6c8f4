"""`ot2deploy robot check`, `find` and `identify`, with embedded robots and their HTTP API over loopback."""

import threading

import pytest

from builder.errors import UsageFailure
from ot2deploy.robots.find import Place, places
from ot2deploy.sim.api import Api, Server


class Machine:
    """What an API says of its robot."""

    def __init__(self, serial):
        self.serial = serial

    def facts(self):
        return {"name": f"name of {self.serial}", "serial": self.serial, "api_version": "7.3.1", "system_version": "1"}


class Asked(Server):
    """A server that keeps what it was asked for."""

    def answer(self, request):
        self.__dict__.setdefault("requests", []).append((request.method, request.path, dict(request.query)))
        return super().answer(request)


@pytest.fixture
def serve():
    """A function that serves the HTTP API of a robot of that serial number; gives its server."""
    servers = []

    def start(serial):
        server = Asked(Api(machine=Machine(serial)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def port(server):
    return server.server_address[1]


@pytest.fixture
def lab(tmp_path, serve):
    """An inventory in which otto's address is nobody's any more; the servers of otto and of another robot."""
    otto, other = serve("OT2A"), serve("OT2B")
    path = tmp_path / "inventory.yaml"
    path.write_text(
        "schema: 1\nrobots:\n"
        "  otto:   # the left one\n    address: 127.0.0.9   # as of May\n    serial: OT2A\n"
        f"    http_port: {port(otto)}\n"
        f"  luigi: {{address: 127.0.0.1, http_port: {port(other)}}}\n"
    )
    return path, otto, other


def test_a_robot_is_found_where_one_looks_and_only_its_address_changes(run_cli, lab):
    path, otto, other = lab
    before = path.read_text()
    words = ("robot", "find", "otto", "--scan", f"127.0.0.1:{port(other)},127.0.0.1:{port(otto)}")
    assert "nothing was written" in run_cli(*words, "--dry-run").good().out
    dry = run_cli(*words, "--dry-run", "--json").good().document["result"]
    assert (dry["moved"], dry["changed"]) == (True, False)
    assert path.read_text() == before
    told = run_cli(*words, "--json").good().document["result"]
    assert (told["was"], told["found"]["address"], told["changed"]) == ("127.0.0.9", "127.0.0.1", True)
    assert [one["serial"] for one in told["others"]] == ["OT2B"]
    assert path.read_text() == before.replace("127.0.0.9", "127.0.0.1")
    assert "no change" in run_cli(*words).good().out
    assert ("GET", "/server/update/health", {}) in otto.requests


def test_swapped_addresses_are_found_without_naming_any(run_cli, lab):
    path, otto, other = lab
    path.write_text(path.read_text().replace("127.0.0.9", "127.0.0.1").replace(str(port(otto)), str(port(other)), 1))
    path.write_text(path.read_text().replace(f"1, http_port: {port(other)}", f"1, http_port: {port(otto)}"))
    told = run_cli("robot", "find", "otto", "--json").good().document["result"]
    assert told["found"]["http_port"] == port(otto)
    assert f"http_port: {port(otto)}\n" in path.read_text()


def test_a_network_is_scanned(run_cli, lab):
    path, *_ = lab
    run_cli("robot", "find", "otto", "--scan", "127.0.0.0/29").good()
    assert "address: 127.0.0.1   # as of May" in path.read_text()


def test_a_robot_that_is_nowhere_leaves_the_file_and_names_who_was_there(run_cli, lab):
    path, _, other = lab
    before = path.read_text()
    ran = run_cli("robot", "find", "otto", "--scan", f"127.0.0.1:{port(other)}")
    assert ran.status == 1
    assert "127.0.0.1: name of OT2B, serial OT2B" in ran.err
    assert "--scan 127.0.0.0/24" in ran.err
    assert path.read_text() == before


def test_a_robot_without_a_serial_cannot_be_found(run_cli, lab):
    ran = run_cli("robot", "find", "luigi")
    assert ran.status == 2
    assert "--keep-serials --limit luigi" in ran.err


def test_what_is_no_robot_is_passed_over(run_cli, lab, serve, embedded_robot):
    _, otto, _ = lab
    scan = f"127.0.0.1:{embedded_robot.port},127.0.0.1:9,no..name,127.0.0.1:{port(otto)}"
    assert run_cli("robot", "find", "otto", "--scan", scan).good()


def test_places_are_read():
    assert [place.address for place in places("192.0.2.0/30 192.0.2.1,otto.local", 80)] == [
        "192.0.2.1", "192.0.2.2", "otto.local"
    ]  # fmt: skip
    assert places("192.0.2.9:81,[fe80::1]:82,fe80::2", 80) == (
        Place(address="192.0.2.9", http_port=81),
        Place(address="fe80::1", http_port=82),
        Place(address="fe80::2", http_port=80),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("10.0.0.0/8", "too large"),
        ("1.2.3.4/99", "no network"),
        ("http://otto/", "no network"),
        ("root@otto", "no address"),
        ("otto:0", "no port"),
        ("otto:99999", "no port"),
        (",", "names no address"),
        ("otto:0,me@otto", "`otto:0` has no port from 1 to 65535; `me@otto` is no address"),
    ],
)
def test_places_that_are_none_are_told_at_once(text, says):
    with pytest.raises(UsageFailure) as caught:
        places(text, 80)
    assert says in caught.value.what


def test_a_robot_blinks(run_cli, lab):
    path, otto, _ = lab
    path.write_text(path.read_text().replace("127.0.0.9", "127.0.0.1"))
    assert "blinks for 7 s" in run_cli("robot", "identify", "otto", "--seconds", "7").good().out
    assert ("POST", "/identify", {"seconds": ["7"]}) in otto.requests


def test_another_robot_does_not_blink(run_cli, lab):
    path, otto, other = lab
    path.write_text(path.read_text().replace("127.0.0.9", "127.0.0.1").replace(str(port(otto)), str(port(other)), 1))
    ran = run_cli("robot", "identify", "otto")
    assert ran.status == 1
    assert "has serial OT2B, not OT2A" in ran.err
    assert all(method == "GET" for method, *_ in other.requests)


def test_a_robot_whose_api_is_silent_is_said(run_cli, lab):
    path, *_ = lab
    path.write_text(path.read_text() + "  gone: {address: 127.0.0.1, http_port: 9}\n  far: {via: gate}\n")
    gone = run_cli("robot", "identify", "gone")
    assert (gone.status, "127.0.0.1:9 does not answer" in gone.err) == (1, True)
    far = run_cli("robot", "identify", "far")
    assert (far.status, "reached through gate" in far.err) == (1, True)


def test_every_robot_is_reached_as_far_as_it_goes(run_cli, embedded_lab, tmp_path):
    lab = embedded_lab(6)
    key = tmp_path / "other_key"
    from ot2deploy.sim import embedded

    embedded.new_key_pair(key)
    other = lab.robots["r6"].host_key
    lab.write(
        r1={"serial": "OT2SIMr1"}, r2={"host_key": other}, r3={"identity_file": key}, r4={"serial": "OT2X"},
        r5={"profile": "ot2-py310"},
    )  # fmt: skip
    lab.stop("r6")
    ran = run_cli("robot", "check", "--robots", lab.path, "--json")
    assert ran.status == 3
    told = {row["robot"]: row for row in ran.document["result"]["robots"]}
    assert {name: row["stopped_at"] for name, row in told.items()} == {
        "r1": None, "r2": "host key", "r3": "login", "r4": "serial", "r5": "platform", "r6": "network"
    }  # fmt: skip
    assert told["r1"]["result"]["serial"] == "OT2SIMr1"
    shown = run_cli("robot", "check", "--robots", lab.path, "--limit", "r1,r4")
    assert shown.status == 3
    assert "OT2SIMr1" in shown.out
    assert "has serial OT2SIMr4, not OT2X" in shown.out
    lab.write(r6={"serial": "OT2SIMr6"})
    gone = run_cli("robot", "check", "--robots", lab.path, "--limit", "r6")
    assert (gone.status, f"robot find r6 --robots {lab.path}" in gone.out) == (1, True)
    assert not lab.base("r1").exists()


def test_serials_are_kept_where_none_stands(run_cli, embedded_lab):
    lab = embedded_lab(2)
    lab.write(r2={"serial": "OT2SIMr1"})
    (lab.root("r2") / "var" / "serial").write_text("OT2SIMr1\n")
    ran = run_cli("robot", "check", "--keep-serials", "--robots", lab.path)
    assert ran.status == 3
    assert "serial OT2SIMr1 of robot `r2` is that of `r1`, too" in ran.out
    lab.write()
    (lab.root("r2") / "var" / "serial").unlink()
    told = run_cli("robot", "check", "--keep-serials", "--robots", lab.path, "--json").good().document["result"]
    assert [row["result"]["kept"] for row in told["robots"]] == [True, False]
    assert (lab.robots["r1"].serial, lab.robots["r2"].serial) == ("OT2SIMr1", None)
