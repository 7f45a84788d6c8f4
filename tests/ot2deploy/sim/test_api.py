"""The robot's HTTP API, over loopback."""

import subprocess
import sys
import threading
import time

import pytest
import requests

from ot2deploy.sim.api import Api, Server

VERSION = {"Opentrons-Version": "*"}
KEY = "ecdsa-sha2-nistp256 AAAA me"
RUN = {"id": "r1", "status": "running", "current": True}


class Robot:
    """A Machine in memory."""

    def __init__(self):
        self.runs, self.maintenance, self.keys, self.restarts = [], None, "ssh-ed25519 AAAA\n", 0
        self.up = threading.Event()
        self.up.set()

    def facts(self):
        about = {"name": "sim1", "serial": "S1", "api_version": "7.3.1", "system_version": "7.3.1"}
        return {**about, "runs": self.runs, "maintenance": self.maintenance}

    def restart(self):
        self.restarts += 1
        self.up.wait(30)

    def read_keys(self):
        return self.keys

    def write_keys(self, text):
        self.keys = text

    def run_python(self, program, argument):
        return subprocess.run([sys.executable, "-I", "-c", program, argument], capture_output=True, text=True).stdout


@pytest.fixture
def robot():
    return Robot()


@pytest.fixture
def ask(robot):
    server = Server(Api(machine=robot))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def call(method, path, headers=VERSION, **options):
        url = f"http://127.0.0.1:{server.server_address[1]}{path}"
        return requests.request(method, url, headers=headers, timeout=10, **options)

    yield call
    server.shutdown()
    server.server_close()


def test_health_says_who_it_is(ask):
    answer = ask("GET", "/health")
    assert answer.status_code == 200
    assert answer.headers["Opentrons-Version"] == "2"
    body = answer.json()
    assert (body["robot_model"], body["robot_serial"], body["name"]) == ("OT-2 Standard", "S1", "sim1")


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 422), ({"Opentrons-Version": "x"}, 422), ({"Opentrons-Version": "1"}, 400)]
)
def test_robot_server_insists_on_its_version_header(ask, headers, status):
    answer = ask("GET", "/health", headers=headers)
    assert answer.status_code == status
    assert answer.json()["errors"]


def test_update_server_needs_no_header(ask):
    body = ask("GET", "/server/update/health", headers={}).json()
    assert body["serialNumber"] == "S1"
    assert body["bootId"]


def test_runs_are_listed_and_found(ask, robot):
    assert ask("GET", "/runs?pageLength=1").json() == {
        "data": [], "meta": {"cursor": 0, "totalLength": 0}, "links": {}
    }  # fmt: skip
    robot.runs = [{"id": "r0", "status": "succeeded", "current": False}, RUN]
    body = ask("GET", "/runs?pageLength=1").json()
    assert body["data"] == [RUN]
    assert body["meta"] == {"cursor": 1, "totalLength": 2}
    assert body["links"]["current"]["href"] == "/runs/r1"
    assert ask("GET", "/runs/r1").json()["data"]["status"] == "running"
    assert ask("GET", "/runs/nosuch").status_code == 404


def test_no_maintenance_run_is_a_404(ask, robot):
    assert ask("GET", "/maintenance_runs/current_run").status_code == 404
    robot.maintenance = RUN
    assert ask("GET", "/maintenance_runs/current_run").json()["data"]["id"] == "r1"


def test_lights_and_identify(ask):
    assert ask("POST", "/robot/lights", json={"on": True}).json() == {"on": True}
    assert ask("GET", "/robot/lights").json() == {"on": True}
    assert ask("POST", "/robot/lights", json={}).status_code == 422
    assert ask("POST", "/identify?seconds=3").status_code == 200
    assert ask("POST", "/identify").status_code == 422


def test_a_restart_gives_a_new_boot_id_and_nothing_answers_meanwhile(ask, robot):
    before = ask("GET", "/server/update/health").json()["bootId"]
    robot.up.clear()
    assert ask("POST", "/server/restart", headers={}).status_code == 200
    with pytest.raises(requests.ConnectionError):
        ask("GET", "/server/update/health")
    robot.up.set()
    assert eventually(lambda: ask("GET", "/server/update/health").json()["bootId"]) != before
    assert robot.restarts == 1


def eventually(look):
    """What `look` gives once it gives something; it may also find nobody there."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if found := look():
                return found
        except requests.ConnectionError:
            pass
        time.sleep(0.02)
    raise AssertionError("it never came")


def test_keys_are_added_listed_and_removed(ask, robot):
    added = ask("POST", "/server/ssh_keys", json={"key": KEY + "\n"})
    assert added.status_code == 201
    assert KEY in [key["key"] for key in ask("GET", "/server/ssh_keys").json()["public_keys"]]
    assert ask("DELETE", f"/server/ssh_keys/{added.json()['key_md5']}").status_code == 200
    assert robot.keys == "ssh-ed25519 AAAA\n"
    assert ask("DELETE", "/server/ssh_keys/00").status_code == 404
    assert ask("DELETE", "/server/ssh_keys").status_code == 200
    assert robot.keys == ""


@pytest.mark.parametrize("key", ["ssh-ed25519 AAAA", "", "ssh-rsa A\nssh-rsa B", None])
def test_bad_keys_are_refused(ask, robot, key):
    assert ask("POST", "/server/ssh_keys", json={"key": key}).status_code == 400
    assert robot.keys == "ssh-ed25519 AAAA\n"


def test_keys_cannot_be_managed_over_a_network(ask, robot):
    robot.keys = None
    assert ask("GET", "/server/ssh_keys").status_code == 403


def test_unknown_paths_and_methods(ask):
    assert ask("GET", "/nothing").status_code == 404
    assert ask("DELETE", "/health").status_code == 405


def analysed(ask, source):
    """A protocol's id and its analysis, when that is complete."""
    made = ask("POST", "/protocols", files=[("files", ("protocol.py", source.encode()))])
    identity = made.json()["data"]["id"]

    def complete():
        (analysis,) = ask("GET", f"/protocols/{identity}/analyses").json()["data"]
        return analysis if analysis["status"] == "completed" else None

    return identity, eventually(complete)


def test_a_protocol_is_analysed_by_running_it(ask):
    source = "import json\ndef run(protocol):\n    protocol.comment(json.dumps([1]))\n"
    identity, analysis = analysed(ask, source)
    assert (analysis["result"], analysis["commands"][0]["params"]["message"]) == ("ok", "[1]")
    assert analysed(ask, source)[0] == identity  # the same file is the same protocol
    assert [one["id"] for one in ask("GET", "/protocols").json()["data"]] == [identity]
    assert ask("DELETE", f"/protocols/{identity}").status_code == 200
    assert ask("DELETE", f"/protocols/{identity}").status_code == 404
    assert ask("GET", f"/protocols/{identity}/analyses").status_code == 404


def test_an_analysis_tells_the_line_that_failed(ask):
    _, analysis = analysed(ask, "from opentrons import protocol_api\nimport no_such_module\n")
    assert analysis["result"] == "not-ok"
    assert analysis["errors"][0]["detail"] == "ModuleNotFoundError [line 2]: No module named 'no_such_module'"


def test_an_upload_without_a_file_is_refused(ask):
    assert ask("POST", "/protocols", data=b"nothing").status_code == 422
