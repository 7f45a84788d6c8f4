"""A robot that is somebody else's by now: whatever it says, the host stays small and whole, and shows no escapes.

The robot's programs are replaced on an embedded one: its shell commands and SSH server are the real ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.printable import printable
from builder.store import Blob
from ot2deploy.agent_host import client, shapes
from ot2deploy.agent_host.archive import build
from ot2deploy.agent_host.client import AgentSession, open_agent
from ot2deploy.cli import render
from ot2deploy.cli.result import Answer, Shown, lines
from ot2deploy.errors import AgentFailure, CommandFailure, RobotFailure, TransferFailure
from ot2deploy.robots.probe import are_facts, probe
from ot2deploy.transport import channel, ssh
from ot2deploy.transport.ssh import connect

ESCAPES = "\x1b[2J\x1b]0;evil\x07\x9b31m\r\u202egnp.exe"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
HELLO = {"type": "hello", "protocol": 1, "agent": build()[1], "python": "3.10.8", "pid": 1}
FACTS = {
    "implementation": "cpython", "python": "3.10", "full_version": "3.10.8", "machine": "armv7l", "system": "Linux",
    "glibc": "2.25", "hard_float": True, "mac_version": "",
}  # fmt: skip


@pytest.fixture
def python(embedded_lab: Any) -> Callable[[str], Any]:
    """Makes the robot's Python a shell script, and returns the robot: the agent's file seems to be there."""
    lab = embedded_lab(1)

    def replaced(source: str) -> Any:
        agent = lab.base() / "agent" / f"{build()[1]}.pyz"
        agent.parent.mkdir(parents=True)
        agent.touch()
        interpreter = lab.root("r1") / "usr/bin/python3"
        interpreter.unlink()
        interpreter.write_text(f"#!/bin/sh\n{source}\n")
        interpreter.chmod(0o755)
        return lab.robots["r1"]

    return replaced


def says(*messages: dict[str, Any] | str) -> str:
    """A script that says these lines and then listens to nothing."""
    lines = [one if isinstance(one, str) else json.dumps(one) for one in messages]
    return "cat <<'LAST'\n" + "\n".join(lines) + "\nLAST\ncat >/dev/null"


def begun(robot: Any) -> AgentSession:
    with connect(robot) as session:
        return open_agent(session, robot, run="r", environment="demo", fingerprint="f").__enter__()


@pytest.mark.parametrize(
    "line",
    [
        "no JSON", "[" * 5000, '{"type": "nothing"}', '{"type": "error", "details": 5, "code": ["x"], "data": 7}',
        '{"type": "error", "what": "' + "x" * 100_000 + '", "details": ["' + "y" * 100_000 + '"]}',
    ],
)  # fmt: skip
def test_what_is_no_answer_is_a_failure_of_that_robot(python: Callable[[str], Any], line: str) -> None:
    with pytest.raises(RobotFailure) as caught:
        begun(python(says(HELLO, line)))
    assert caught.value.subject == "r1"
    assert len("\n".join(caught.value.lines())) < 20_000


def test_lines_without_end_do_not_fill_the_memory(
    python: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "LONGEST_LINE", 1 << 20)
    with pytest.raises(CommandFailure, match="a line of more than 1 MB"):
        begun(python("exec cat /dev/zero"))


def test_output_without_end_does_not_fill_the_memory(
    python: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "MOST", 4 << 20)
    robot = python("exec cat /dev/zero")
    with connect(robot) as session, pytest.raises(CommandFailure, match="printed more than 4 MB"):
        probe(session, robot, "demo")


def test_events_are_cut_and_their_counts_checked(python: Callable[[str], Any]) -> None:
    odd = {"type": "event", "stage": ["x"] * 500, "message": "y" * 100_000, "done": "many", "total": -1}
    robot = python(says(HELLO, odd, {"type": "result", "holder": None, "swept": []}))
    seen: list[Any] = []
    with connect(robot) as session:
        open_agent(session, robot, run="r", environment="demo", fingerprint="f", report=seen.append).__enter__()
    (event,) = seen
    assert (len(event.stage), len(event.message)) == (client.STAGE, client.MESSAGE)
    assert (event.done, event.total) == (None, None)


@pytest.mark.parametrize(
    ("op", "result"),
    [
        ("switch", {}), ("switch", {"previous": "../../x"}), ("install", {"seconds": {"install": "1", "compile": 0}}),
        ("install", {"seconds": {"install": float("nan"), "compile": 0}}), ("verify", {"results": [{}]}),
        ("verify", {"results": "x"}), ("need", {"missing": [{"sha256": "0" * 64, "offset": -1}]}),
        ("rollback", {"current": 5, "previous": None}), ("remove", {"current": None}), ("journal", {"lines": ["x"]}),
        ("unlock", {"state": "free", "holder": "me"}), ("purge", {"environments": [1], "left": [], "programs": []}),
    ],
)  # fmt: skip
def test_results_that_are_none_are_refused(op: str, result: dict[str, Any]) -> None:
    assert not shapes.fits(op, result)


def test_a_result_that_is_none_names_its_request(python: Callable[[str], Any]) -> None:
    good = {"type": "result", "holder": None, "swept": []}
    robot = python(says(HELLO, good, {"type": "result", "previous": "../../x"}))
    with (
        connect(robot) as session,
        pytest.raises(AgentFailure, match="its answer to `switch` is none"),
        open_agent(session, robot, run="r", environment="demo", fingerprint="f") as agent,
    ):
        agent.request("switch", environment="demo", digest="0" * 64)


@pytest.mark.parametrize("offset", ["x", -1, 1 << 50, None])
def test_an_offset_that_is_none_ends_the_transfer(python: Callable[[str], Any], tmp_path: Path, offset: Any) -> None:
    (tmp_path / "w.whl").write_bytes(b"wheel")
    blob = Blob(filename="w.whl", sha256="0" * 64, size=5, path=tmp_path / "w.whl")
    missing = {"type": "result", "missing": [{"sha256": blob.sha256, "offset": 0}]}
    refused = {"type": "error", "code": "blob-offset", "what": "no", "data": {"offset": offset}}
    robot = python(says(HELLO, {"type": "result", "holder": None, "swept": []}, missing, refused))
    with (
        connect(robot) as session,
        pytest.raises(TransferFailure, match="no"),
        open_agent(session, robot, run="r", environment="demo", fingerprint="f") as agent,
    ):
        agent.send("wheels", [blob])


@pytest.mark.parametrize(
    "changes",
    [
        {"python": "3"}, {"python": 3.1}, {"python": "3.10\n"}, {"full_version": "new"}, {"glibc": "2"}, {"glibc": []},
        {"machine": "../x"}, {"hard_float": "yes"}, {"mac_version": None}, {"system": ESCAPES},
    ],
)  # fmt: skip
def test_facts_that_are_none_are_not_taken_for_some(changes: dict[str, Any]) -> None:
    assert are_facts(FACTS)
    assert are_facts({**FACTS, "glibc": None, "hard_float": None})
    assert not are_facts({**FACTS, **changes})
    assert not are_facts({})


def test_nothing_that_steers_a_terminal_gets_there() -> None:
    assert STEERING.search(printable(ESCAPES)) is None
    assert printable("a\tb\nä € 漢") == "a\tb\nä € 漢"


def test_a_robots_escapes_reach_neither_tables_nor_errors(workplace: Any) -> None:
    workplace.environment("plates", workplace.wheel("plates"))
    workplace.push("plates")
    lab = workplace.lab
    evil = {"schema": 1, "at": ESCAPES, "who": ESCAPES, "op": ESCAPES, "result": "ok", "detail": ESCAPES * 3}
    with lab.base().joinpath("journal").open("a", encoding="utf-8") as file:
        file.write(json.dumps(evil) + "\n")
    (lab.base() / "lock").write_text(json.dumps({"schema": 1, "who": ESCAPES, "since": ESCAPES, "run": ESCAPES}))
    (lab.root("r1") / "etc/VERSION.json").write_text(json.dumps({"opentrons_api_version": ESCAPES}))
    (lab.base() / "envs" / "evil\x1b[31m" / "releases").mkdir(parents=True)
    lab.root("r1").joinpath("var/serial").write_text(ESCAPES)
    lab.root("r1").joinpath("var/log").mkdir(parents=True, exist_ok=True)
    lab.root("r1").joinpath("var/log/messages").write_text(f"opentrons {ESCAPES}\n")
    said = []
    for words in (
        ("history",), ("status",), ("robot", "logs", "r1"), ("robot", "check"), ("verify", "plates"),
        ("push", "plates"), ("push", "plates", "--dry-run", "-v"), ("robot", "packages", "r1"),
        ("robot", "unlock", "r1"),
    ):  # fmt: skip
        ran = workplace.run_cli(*words, "--robots", lab.path)
        said.append(ran.out + ran.err)
        assert STEERING.search(ran.out + ran.err) is None, (words, ran.out, ran.err)
        assert "this is a bug" not in ran.err, ran.err
    lab.write(r1={"serial": "OT2CEP1"})
    ran = workplace.run_cli("status", "-v", "--robots", lab.path)
    said.append(ran.out + ran.err)
    assert STEERING.search(ran.out + ran.err) is None, (ran.out, ran.err)
    assert "not OT2CEP1" in said[-1]
    assert "evil" in "".join(said)


def test_a_base_directory_that_leads_elsewhere_takes_nothing_of_the_host(workplace: Any, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("kept")
    base = workplace.lab.base()
    (base / "envs" / "plates").mkdir(parents=True)
    (base / "envs" / "plates" / "current").symlink_to("../../../../../../../../" + str(elsewhere))
    (base / "envs" / "plates" / "releases").mkdir()
    workplace.environment("plates", workplace.wheel("plates"))
    workplace.push("plates")
    workplace.run("remove", "plates")
    assert [path.name for path in elsewhere.iterdir()] == ["kept"]


def test_lines_of_a_result_steer_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    render.result(Shown(result=Answer(data={}), parts=(lines(ESCAPES, "a\tb"),)))
    out = capsys.readouterr().out
    assert STEERING.search(out) is None
    assert re.search(r"a\s+b\n$", out)
