"""`ot2deploy robot enroll` and `discover`: from a robot out of the box to a first verified import, and back in."""

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from wheel_factory import make_wheel

import ot2deploy
from ot2deploy import inventory
from ot2deploy.enroll import discover

MOST = 6  # commands from a robot that nobody can log in to, to a verified import on it


@pytest.fixture(autouse=True)
def nothing_near(monkeypatch):
    """This computer's own network is not asked."""
    monkeypatch.setattr(discover, "by_mdns", lambda seconds: ((), ""))
    monkeypatch.setattr(discover, "neighbours", tuple)


@pytest.fixture
def run(run_cli):
    """A function that runs a command line; `run.count` says how often. Simulated robots go with the test."""

    def call(*words, status=0):
        call.count += 1
        ran = run_cli(*words)
        assert ran.status == status, f"{words}: exit status {ran.status}\n{ran.out}\n{ran.err}"
        return ran

    call.count = 0
    yield call
    run_cli("sim", "down")


def up(run, count=1):
    """Brings up simulated robots without a key, in a project."""
    run("init")
    run("sim", "up", "--count", str(count), "--kind", "embedded", "--no-key")


def test_from_a_robot_without_a_key_to_a_verified_import_in_six_commands_and_no_file_edited(run, tmp_path):
    wheel = make_wheel(tmp_path, "plates-1.0-py3-none-any.whl", {"plates.py": b"VALUE = 42\n"})
    run("init")
    run("sim", "up", "--count", "1", "--kind", "embedded", "--no-key")
    run("robot", "enroll", "--yes")
    pushed = run("push", str(wheel), "--json").document["result"]["robots"][0]
    imported = run("exec", "-e", "plates", "--", "python3", "-c", "import plates; print(plates.VALUE)")
    assert run.count <= MOST
    assert pushed["outcome"] == "pushed"
    assert "42" in imported.out


def test_two_robots_in_one_loop_and_the_result_as_json(run, tmp_path):
    up(run, 2)
    result = run("robot", "enroll", "--yes", "--json").document["result"]
    assert [(row["robot"], row["did"], row["posted"]) for row in result["robots"]] == [
        ("sim1", "added", True), ("sim2", "added", True)
    ]  # fmt: skip
    assert list(inventory.load(tmp_path / "inventory.yaml").robots) == ["sim1", "sim2"]
    assert "2" not in run("robot", "check").err
    assert run("robot", "enroll", "--yes", "--robots", "other.yaml").out.count("added") == 2
    assert (
        "Next: ot2deploy robot check --robots other.yaml"
        in run("robot", "enroll", "--yes", "--robots", "other.yaml").out
    )


def test_a_refused_key_names_the_command_that_enrolls_a_reset_robot_again(run, tmp_path):
    up(run)
    run("robot", "enroll", "--yes")
    run("sim", "reset", "sim1")
    run("robot", "trust", "sim1", "--replace")  # as if only the keys had gone
    refused = run("status", status=1)
    assert "device reset?" in refused.out + refused.err
    command = "ot2deploy robot enroll sim1"
    assert command in refused.out + refused.err
    again = run(*command.split()[1:], "--yes")
    assert "put on it" in again.out
    run("status")


def test_where_nobody_can_be_asked_it_says_so_and_does_not_wait(run, run_program, tmp_path):
    up(run)
    ran = run_program("robot", "enroll", timeout=60)
    assert ran.status == 2
    assert "Run: ot2deploy robot enroll --yes" in ran.err
    assert run("robot", "enroll", "sim1", "--json", status=2).document["error"]["next"].endswith("enroll sim1 --yes")
    assert "sim1" not in (tmp_path / "inventory.yaml").read_text()


def test_outside_of_a_project_it_says_where_robots_could_be_written_down(run, tmp_path):
    ran = run("robot", "enroll", "--yes", status=2)
    assert "Run: ot2deploy init" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_robot_that_takes_no_key_over_the_network_is_explained(run):
    run("init")
    run("sim", "up", "--count", "1", "--kind", "embedded")
    (robot,) = run("sim", "status", "--json").document["result"]["robots"]
    ran = run(
        "robot", "enroll", "--yes", "--address", f"127.0.0.1:{robot['http_port']}", "--port", robot["port"], status=1
    )
    for word in ("HTTP 403", "USB cable", "enroll --key FILE.pub"):
        assert word in ran.out


def test_discover_shows_who_answers_and_whether_the_inventory_has_it(run):
    up(run, 2)
    ran = run("robot", "discover")
    assert ran.out.count("simulated") >= 2
    run("robot", "enroll", "--yes")
    rows = run("robot", "discover", "--json").document["result"]["robots"]
    assert [(row["robot"], row["by"]) for row in rows] == [("sim1", "simulated"), ("sim2", "simulated")]
    one = run("robot", "discover", "--address", f"127.0.0.1:{rows[0]['http_port']}")
    assert "sim2" not in one.out
    assert "by USB" in run("robot", "discover", "--address", "127.0.0.1:9", status=1).err


def test_options_that_do_not_fit_together_are_refused(run, tmp_path):
    (tmp_path / "a.pub").write_text(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICHu1mx/GLe37dHOfE9Xxqyyk489GbCyIBCPvrjAHMpd\n"
    )
    assert "--limit goes with --key" in run("robot", "enroll", "--limit", "otto", status=2).err
    assert "--address does not fit" in run("robot", "enroll", "--key", "a.pub", "--address", "x", status=2).err
    assert "nothing" not in run("robot", "enroll", "--key", "gone.pub", status=2).err


class Terminal:
    """A command at a terminal of its own, which a person types into."""

    def __init__(self, directory, words):
        self.master, slave = pty.openpty()
        self.seen = ""
        self.program = subprocess.Popen(
            [sys.executable, "-m", "ot2deploy", *words], cwd=directory, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True, env={**os.environ, "PYTHONPATH": str(Path(ot2deploy.__path__[0]).parent)},
        )  # fmt: skip
        os.close(slave)

    def read(self):
        """What comes next; "" where the program has ended."""
        ready, _, _ = select.select([self.master], [], [], 60)
        assert ready, f"it says nothing more after: {self.seen}"
        try:
            return os.read(self.master, 65536).decode(errors="replace")
        except OSError:  # Linux's word for the end of a terminal
            return ""

    def until(self, text):
        """Reads until that is there; what came before."""
        while text not in self.seen:
            piece = self.read()
            assert piece, f"it ended: {self.seen}"
            self.seen += piece
        seen, _, self.seen = self.seen.partition(text)
        return seen

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self, status):
        """What is said to its end."""
        while piece := self.read():
            self.seen += piece
        assert self.program.wait(60) == status, self.seen
        return self.seen

    def close(self):
        self.program.kill()
        self.program.wait(60)
        os.close(self.master)


@pytest.fixture
def terminal(tmp_path):
    """A function that starts a command at a terminal; the command ends with the test."""
    started = []

    def start(*words):
        started.append(Terminal(tmp_path, words))
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_at_a_terminal_one_robot_is_asked_for_after_the_other(run, tmp_path, terminal):
    up(run)
    typed = terminal("robot", "enroll")
    typed.until("[sim1]: ")
    typed.type("a name with spaces\n")
    typed.until("letters, digits")
    typed.until("[sim1]: ")
    typed.type("otto\n")
    typed.until("q: that was all")
    up(run, 2)
    typed.type("\n")
    typed.until("[sim2]: ")
    typed.type("\n")
    typed.until("q: that was all")
    typed.type("q\n")
    said = typed.end(0)
    assert "otto" in said
    assert list(inventory.load(tmp_path / "inventory.yaml").robots) == ["otto", "sim2"]


def test_ctrl_c_leaves_everything_enrolled_so_far(run, tmp_path, terminal):
    up(run)
    typed = terminal("robot", "enroll")
    typed.until("[sim1]: ")
    typed.type("\n")
    typed.until("q: that was all")
    while typed.program.poll() is None:  # one that comes right before Python waits for a key is seen at the next
        typed.program.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            typed.program.wait(3)
    assert "sim1" in typed.end(130)
    assert list(inventory.load(tmp_path / "inventory.yaml").robots) == ["sim1"]
    run("robot", "check")


def test_a_passphrase_is_asked_at_the_terminal_and_not_shown(run, tmp_path, terminal):
    home = Path.home() / ".ssh"
    home.mkdir(mode=0o700)
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "opensesame", "-f", home / "id_ecdsa"], check=True)
    up(run, 2)
    typed = terminal("robot", "enroll", "--once")
    typed.until("[sim1]: ")
    typed.type("\n")
    typed.until("empty: use another key): ")
    typed.type("opensesame\n")
    said = typed.until("[sim2]: ")
    typed.type("\n")
    said += typed.end(0)
    assert "opensesame" not in said
    assert "has a passphrase" not in said
    robots = inventory.load(tmp_path / "inventory.yaml").robots
    assert [robot.identity_file for robot in robots.values()] == [home / "id_ecdsa"] * 2
    assert said.count("your key is on it now") == 2
