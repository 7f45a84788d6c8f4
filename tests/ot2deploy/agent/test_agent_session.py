"""Sessions of the real agent: begin, the lock, how they end, and what they refuse."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ot2deploy.agent_host.archive import build

DIGEST = "0" * 64
SLEEPER = "import os, time, pathlib\npathlib.Path({marker!r}).write_text(str(os.getpid()))\ntime.sleep(300)\n"


def until(condition: Callable[[], Any], what: str, limit: float = 30.0) -> Any:
    """Waits for a condition that comes true by itself."""
    deadline = time.monotonic() + limit
    while not (value := condition()):
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)
    return value


def alive(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def start_sleeper(robot: Any, agent: Any, tmp_path: Path) -> int:
    """Leaves the agent in the middle of a check that sleeps; returns the check's process id."""
    manifest = robot.install(agent, [])
    marker = tmp_path / "pid"
    check = {"kind": "program", "name": "sleep", "source": SLEEPER.format(marker=str(marker)), "timeout": 300}
    agent.write(
        (lambda data: b"J %d\n%s" % (len(data), data))(
            json.dumps(
                {"op": "verify", "environment": "demo", "digest": manifest["digest"], "checks": [check],
                 "depth": "quick", "fingerprint": "f1"}
            ).encode()
        )
    )  # fmt: skip
    return int(until(lambda: marker.exists() and marker.read_text(), "the check has started"))


def snapshot(directory: Path, but: Path) -> set[str]:
    """Everything below a directory but one part of it, with sizes."""
    return {f"{path} {path.lstat().st_size}" for path in directory.rglob("*") if not path.is_relative_to(but)}


def test_hello_names_the_archive(robot: Any) -> None:
    agent = robot.start()
    hello = agent.line()
    assert hello["type"] == "hello"
    assert hello["protocol"] == 1
    assert hello["agent"] == build()[1]
    assert hello["pid"] == agent.process.pid
    assert agent.close() == 0


def test_a_push_from_begin_to_switch(robot: Any, wheel: Callable[..., Any]) -> None:
    made = wheel("demo", "1.0", files={"demo.py": "def main(): print('demo runs')\n"}, scripts={"demo": "demo:main"})
    before = snapshot(robot.root, robot.base)
    agent = robot.begin()
    manifest = robot.install(agent, [made])
    where = {"environment": "demo", "digest": manifest["digest"]}
    checks = [
        {"kind": "import", "name": "import demo", "module": "demo", "timeout": 30},
        {"kind": "run", "name": "demo", "argv": ["demo"], "expect": "^demo runs$", "timeout": 30},
    ]
    answer = agent.result("verify", **where, checks=checks, depth="quick", fingerprint="f1")
    assert answer["ok"], answer
    assert answer["results"][0]["version"] == "1.0"
    assert Path(answer["results"][0]["file"]).is_relative_to(robot.release(manifest))
    switched = {"type": "result", "changed": True, "previous": None, "undecided": False}
    assert agent.result("switch", **where) == switched
    assert [event["message"] for event in agent.events if event["stage"] == "verify"] == ["import demo", "demo"]
    assert agent.close() == 0
    assert snapshot(robot.root, robot.base) == before
    assert not list((robot.site / "pip").rglob("*.pyc"))


def test_begin_writes_facts_for_a_new_fingerprint_only(robot: Any) -> None:
    robot.begin().close()
    path = robot.base / "facts.json"
    facts = json.loads(path.read_text())
    assert facts["fingerprint"] == "f1"
    assert facts["facts"]["pip"]["path"] == str(robot.site)
    assert str(robot.archive) not in facts["facts"]["sys_path"]
    written = path.stat().st_mtime_ns
    robot.begin().close()
    assert path.stat().st_mtime_ns == written
    robot.begin(fingerprint="f2").close()
    assert json.loads(path.read_text())["fingerprint"] == "f2"


def test_second_session_is_told_who_holds_the_lock(robot: Any) -> None:
    holder = robot.begin(who="ada@lab", run="run-a")
    second = robot.session()
    error = second.ask("begin", **robot.begin_fields(who="bob@lab"))
    assert error["code"] == "locked"
    assert error["data"]["who"] == "ada@lab"
    assert error["data"]["run"] == "run-a"
    assert "held by ada@lab since 20" in error["what"]
    assert holder.close() == 0
    assert (robot.base / "lock").read_text() == ""
    assert second.result("begin", **robot.begin_fields())["holder"] is None


def test_lock_of_a_killed_session_is_taken_over(robot: Any) -> None:
    holder = robot.begin(who="ada@lab", run="run-a")
    holder.kill()
    answer = robot.session().result("begin", **robot.begin_fields(who="bob@lab"))
    assert answer["holder"]["who"] == "ada@lab"
    assert json.loads((robot.base / "lock").read_text())["who"] == "bob@lab"


def test_begin_can_wait_for_the_lock(robot: Any) -> None:
    holder = robot.begin()
    second = robot.session()
    fields = json.dumps({"op": "begin", **robot.begin_fields(who="bob@lab"), "wait": True}).encode()
    second.write(b"J %d\n%s" % (len(fields), fields))
    assert second.line()["message"].startswith("held by ada@lab since")
    holder.close()
    assert second.answer()["type"] == "result"


@pytest.mark.parametrize("ending", ["eof", "kill", "term"])
def test_whatever_ends_a_session_ends_its_children_and_frees_the_lock(robot: Any, tmp_path: Path, ending: str) -> None:
    agent = robot.begin()
    pid = start_sleeper(robot, agent, tmp_path)
    assert alive(pid)
    if ending == "eof":
        assert agent.close() == 3
    else:
        agent.process.send_signal(signal.SIGKILL if ending == "kill" else signal.SIGTERM)
        agent.process.wait(30)
    until(lambda: not alive(pid), "the check has ended")
    robot.begin(who="bob@lab").close()


def test_silence_ends_a_session(robot: Any) -> None:
    from ot2deploy.agent import frames

    read, write = os.pipe()
    ended: list[float] = []
    reader = frames.Reader(read, lambda: ended.append(time.monotonic()), silence=1.5)
    start = time.monotonic()
    reader.start()
    os.write(write, b"H 0\n")
    kind, reason = reader.take()
    assert kind == frames.END
    assert b"nothing was heard" in reason
    assert ended[0] - start >= 1.5
    os.close(write)
    os.close(read)


def test_begin_sweeps_what_interrupted_runs_left(robot: Any) -> None:
    manifest = robot.push(robot.begin(), [])
    releases = robot.release(manifest).parent
    half = releases / DIGEST
    (half / "lib").mkdir(parents=True)
    (half / "lib/x.py").write_text("")
    (robot.base / "tmp/pip-1").mkdir()
    (robot.base / "tmp/programs").mkdir()
    (robot.base / "tmp/programs/kept").write_text("")
    for agent in robot.agents:
        agent.close()
    answer = robot.session().result("begin", **robot.begin_fields())
    assert answer["swept"] == [DIGEST]
    assert [path.name for path in releases.iterdir()] == [manifest["digest"]]
    assert [path.name for path in (robot.base / "tmp").rglob("*")] == ["programs", "kept"]


@pytest.mark.parametrize("path", ["facts.json", "journal"])
def test_state_of_a_newer_ot2deploy_is_left_alone(robot: Any, path: str) -> None:
    robot.base.mkdir(parents=True)
    (robot.base / path).write_text('{"schema": 2}\n')
    error = robot.session().ask("begin", **robot.begin_fields())
    assert error["code"] == "agent-too-new"
    assert error["next"] == "Upgrade ot2deploy."
    assert (robot.base / path).read_text() == '{"schema": 2}\n'


def test_requests_before_begin_and_unknown_ones_are_refused(robot: Any) -> None:
    agent = robot.session()
    assert agent.ask("need", kind="wheels", blobs=[])["code"] == "bad-request"
    assert agent.ask("fly")["code"] == "unknown-op"
    assert agent.ask("begin", **robot.begin_fields(protocol=2))["code"] == "protocol-version"
    agent.result("begin", **robot.begin_fields())
    assert agent.ask("begin", **robot.begin_fields())["code"] == "bad-request"


def test_bad_json_is_an_error_and_bad_frames_are_the_end(robot: Any) -> None:
    agent = robot.begin()
    agent.write(b"J 3\n{x}" + b"J 2\n[]" + b"H 0\n")
    assert agent.answer()["code"] == "bad-request"
    assert agent.answer()["code"] == "bad-request"
    assert agent.ask("journal", limit=1)["type"] == "result"
    agent.write(b"J 99999999\n")
    error = agent.answer()
    assert error["code"] == "protocol"
    assert "the limit is" in error["what"]
    assert agent.process.wait(30) == 2


UNSAFE = ["../x", "..", ".", "", "a/b", "/etc/passwd", "a\0b", "A", "-x", "x" * 300, 7, None, ["x"]]


@pytest.mark.parametrize("value", UNSAFE, ids=repr)
def test_unsafe_names_are_refused_everywhere(robot: Any, value: Any) -> None:
    agent = robot.begin()
    blob = {"sha256": DIGEST, "size": 1, "filename": "a-1-py3-none-any.whl"}
    for changed in ({"sha256": value}, {"filename": value}, {"size": "1"}, {"size": -1}):
        assert agent.ask("blob", kind="wheels", offset=0, **{**blob, **changed})["code"] == "bad-request"
        assert agent.ask("need", kind="wheels", blobs=[{**blob, **changed}])["code"] == "bad-request"
    assert agent.ask("need", kind=value, blobs=[])["code"] == "bad-request"
    for op in ("switch", "verify"):
        more = {"checks": [], "depth": "quick", "fingerprint": "f1"}
        assert agent.ask(op, environment=value, digest=DIGEST, **more)["code"] == "bad-request"
        assert agent.ask(op, environment="demo", digest=value, **more)["code"] == "bad-request"
    assert agent.ask("rollback", environment=value)["code"] == "bad-request"


@pytest.mark.parametrize("field", ["base", "root"])
@pytest.mark.parametrize("value", ["/a/../b", "relative", "/", "/a//b", "/a/./b", "/a\0", 5])
def test_base_and_root_are_paths_in_normal_form(robot: Any, field: str, value: Any) -> None:
    assert robot.session().ask("begin", **robot.begin_fields(**{field: value}))["code"] == "bad-request"


def test_random_requests_never_write_outside_or_break_a_session(robot: Any) -> None:
    chance = random.Random(20250420)
    agent = robot.begin()
    before = snapshot(robot.root.parent, robot.base)
    words: list[Any] = ["../../x", "demo", DIGEST, "wheels", "packs", "pip", "tree", "x.whl", -1, 0, 1 << 70, 1.5, None,
                        True, [], {}, [{}], {"a": 1}, "é\ud800", "\0"]  # fmt: skip
    names = ["kind", "sha256", "size", "filename", "offset", "blobs", "manifest", "method", "packs", "environment",
             "digest", "checks", "depth", "fingerprint", "to", "line", "limit"]  # fmt: skip
    for _ in range(300):
        op = chance.choice(["need", "blob", "install", "verify", "switch", "rollback", "record", "journal", "", "x"])
        fields = {name: chance.choice(words) for name in chance.sample(names, chance.randrange(len(names)))}
        answer = agent.ask(op, **fields)
        assert answer["type"] in ("result", "error")
        assert answer.get("code") != "agent-bug", (op, fields, answer)
    assert agent.close() == 0
    assert snapshot(robot.root.parent, robot.base) == before
    assert not list(robot.base.glob("envs/*"))


def test_random_bytes_end_a_session_cleanly(robot: Any) -> None:
    chance = random.Random(7)
    for _ in range(10):
        agent = robot.session()
        agent.write(b"J 2\n{}" + chance.randbytes(chance.randrange(12, 400)))
        assert agent.answer()["code"] == "bad-request"
        assert agent.answer()["code"] == "protocol"
        assert agent.process.wait(30) == 2


def test_agent_stays_small(robot: Any, wheel: Callable[..., Any]) -> None:
    big = wheel("big", files={"big.py": "", "big.bin": os.urandom(30 << 20)})
    agent = robot.begin()
    robot.install(agent, [big])
    status = Path(f"/proc/{agent.process.pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak < 60 * 1024
