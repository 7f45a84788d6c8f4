"""Taking things off a robot: one environment, everything, and the lock of somebody else."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ot2deploy.agent import journal, purge, release, remove
from ot2deploy.agent import layout as layouts
from ot2deploy.agent import lock as locks
from ot2deploy.agent.refusal import Refusal


def tree(directory: Path) -> dict[str, Any]:
    """Everything below a directory: its kind and mode, a file's bytes, a link's target."""
    found: dict[str, Any] = {}
    for path in sorted(directory.rglob("*")):
        mode = path.lstat().st_mode
        content: Any = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(directory))] = (mode, content)
    return found


def unlock(robot: Any, *, force: bool = False) -> dict[str, Any]:
    """The answer of a session that unlocks."""
    where = {"base": "/var/ot2deploy", "root": str(robot.root)}
    answer: dict[str, Any] = robot.session().ask("unlock", **where, run="run-2", who="bob@lab", force=force)
    return answer


def blobs(robot: Any, kind: str = "wheels") -> set[str]:
    """The file names of the blobs of a kind."""
    return {path.name for path in (robot.base / kind).glob("*/*")}


def test_an_environment_goes_with_the_blobs_that_only_it_used(robot: Any, wheel: Callable[..., Any]) -> None:
    agent = robot.begin()
    mine, both, other = wheel("mine"), wheel("both"), wheel("other")
    first = robot.push(agent, [mine, both])
    robot.push(agent, [other, both], environment="second")
    (robot.base / "packs" / ("1" * 64)).mkdir(parents=True)
    (robot.base / "packs" / ("1" * 64) / "mine-1.0-py3-none-any.cp311.tar.gz").write_bytes(b"x" * 10)
    (robot.base / "packs" / ("2" * 64)).mkdir()
    (robot.base / "packs" / ("2" * 64) / "other-1.0-py3-none-any.cp311.tar.gz").write_bytes(b"x")
    (robot.base / "wheels" / ("3" * 64 + ".part")).write_bytes(b"x")
    answer = agent.result("remove", environment="demo")
    assert (answer["current"], answer["releases"]) == (first["digest"], [first["digest"]])
    assert (answer["blobs"], answer["programs"]) == (3, [])
    assert answer["bytes"] > mine.size + 11
    assert sorted(path.name for path in (robot.base / "envs").iterdir()) == ["second"]
    assert blobs(robot) == {other.path.name, both.path.name}
    assert blobs(robot, "packs") == {"other-1.0-py3-none-any.cp311.tar.gz"}
    line = json.loads((robot.base / "journal").read_text().splitlines()[-1])
    assert (line["op"], line["environment"], line["previous"], line["who"]) == (
        "remove", "demo", first["digest"], "ada@lab"
    )  # fmt: skip
    assert agent.ask("remove", environment="demo")["code"] == "not-installed"
    robot.push(agent, [mine, both])


def test_no_blob_goes_while_a_manifest_cannot_be_read(robot: Any, wheel: Callable[..., Any]) -> None:
    agent = robot.begin()
    robot.push(agent, [wheel("mine")])
    damaged = robot.push(agent, [wheel("other")], environment="second")
    (robot.release(damaged) / "manifest.json").write_text("{")
    assert agent.result("remove", environment="demo")["blobs"] == 0
    assert len(blobs(robot)) == 2


def test_a_removal_that_was_cut_off_is_asked_for_again(robot: Any, wheel: Callable[..., Any]) -> None:
    agent = robot.begin()
    manifest = robot.push(agent, [wheel()])
    (robot.base / "envs/demo/current").unlink()
    (robot.release(manifest) / "complete").unlink()
    assert agent.result("remove", environment="demo")["current"] is None
    assert not (robot.base / "envs/demo").exists()


def test_what_was_current_before_a_removal_is_not_gone_back_to() -> None:
    done = [("switch", "a"), ("switch", "b"), ("remove", None), ("switch", "c")]
    lines: list[dict[str, Any]] = [
        {"environment": "demo", "op": op, "digest": digest, "result": "ok"} for op, digest in done
    ]
    assert journal.succession(lines, "demo", "c") == ["c"]


def test_a_purge_leaves_a_robot_as_it_was(robot: Any, wheel: Callable[..., Any]) -> None:
    before = tree(robot.root)
    agent = robot.begin()
    robot.push(agent, [wheel()])
    robot.push(agent, [wheel("other")], environment="second")
    (robot.base / "wheels" / ("3" * 64 + ".part")).write_bytes(b"x")
    (robot.base / "agent").mkdir()
    shutil.copy(robot.archive, robot.base / "agent" / ("4" * 64 + ".pyz"))
    (robot.base / "agent" / f".{'5' * 16}.{'6' * 8}.part").touch()
    answer = agent.result("purge")
    assert (answer["environments"], answer["left"]) == (["demo", "second"], [])
    assert tree(robot.root) == before
    assert agent.ask("install", manifest={}, method="pip", packs=[])["code"] == "bad-request"
    assert agent.close() == 0
    assert tree(robot.root) == before


class Cut(BaseException):
    """Power is gone."""


def cut_at(number: int, work: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether `work` was cut off before the effect of that number on the file system."""
    count = 0

    def counting(effect: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == number:
                raise Cut
            return effect(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in ("unlink", "rmdir"):
            patch.setattr(os, name, counting(getattr(os, name)))
        try:
            work()
        except Cut:
            return True
    return False


def furnish(where: layouts.Layout) -> None:
    """Two environments of one file each, made by hand, with a wheel, a pack and all that is ours."""
    for number, name in enumerate(("demo", "second")):
        digest = f"{number}" * 64
        release = Path(where.release(name, digest))
        (release / "lib").mkdir(parents=True)
        (release / "lib" / "demo.py").touch()
        Path(where.current(name)).symlink_to(f"releases/{digest}")
        wheel = {"filename": f"{name}-1-py3-none-any.whl", "sha256": digest}
        (release / "manifest.json").write_text(json.dumps({"schema": 1, "wheels": [wheel]}))
        (release / "complete").touch()
        for blob in (
            where.blob("wheels", digest, wheel["filename"]),
            where.blob("packs", digest, f"{name}-1-py3-none-any.x.tar"),
        ):
            Path(blob).parent.mkdir(parents=True)
            Path(blob).touch()
    for path in (Path(where.tmp) / "x", Path(where.facts), Path(where.base) / "agent" / ("4" * 64 + ".pyz")):
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")


def sound(where: layouts.Layout) -> bool:
    """Whether nothing is current that is not whole."""
    links = list(Path(where.envs).glob("*/current"))
    return all((link / "complete").exists() and (link / "lib" / "demo.py").exists() for link in links)


def again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[layouts.Layout], Any]
) -> list[Path]:
    """Cuts `work` off before each of its effects and then runs it again to its end; the roots that it left."""
    roots, number, cut = [], 0, True
    while cut:
        number += 1
        root = tmp_path / str(number)
        where = layouts.Layout(root=str(root))
        furnish(where)

        def begun(where: layouts.Layout = where) -> None:
            held = locks.take(where.lock, "run-1", "ada@lab")
            try:
                release.sweep(where)
                work(where)
            finally:
                held.release()

        cut = cut_at(number, begun, monkeypatch)
        assert sound(where), f"cut at effect {number}"
        if cut:
            begun()
        roots.append(root)
    return roots


def test_a_purge_cut_off_before_any_of_its_effects_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = again_and_again(tmp_path, monkeypatch, purge.purge)
    assert len(roots) > 20
    assert [root for root in roots if tree(root) != {"var": tree(root)["var"]}] == []


def test_a_removal_cut_off_before_any_of_its_effects_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(where: layouts.Layout) -> None:
        with contextlib.suppress(Refusal):  # there was nothing left but its line in the journal
            remove.remove(where, {"environment": "demo"}, "run-1", "ada@lab")

    roots = again_and_again(tmp_path, monkeypatch, work)
    assert len(roots) > 10
    for root in roots:
        base = root / "var/ot2deploy"
        assert [path.name for path in (base / "envs").iterdir()] == ["second"]
        assert {path.name for kind in ("wheels", "packs") for path in (base / kind).iterdir()} == {"1" * 64}
        assert '"op": "remove"' in (base / "journal").read_text()


@pytest.mark.parametrize("gone", ["envs/demo/current", "envs", "wheels", "facts.json", "journal", "tmp", "lock"])
def test_a_purge_that_was_cut_off_is_asked_for_again(robot: Any, wheel: Callable[..., Any], gone: str) -> None:
    before = tree(robot.root)
    agent = robot.begin()
    robot.push(agent, [wheel()])
    agent.kill()
    path = robot.base / gone
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    robot.begin(environment=None).result("purge")
    assert tree(robot.root) == before


def test_a_purge_leaves_what_is_not_ours(robot: Any, wheel: Callable[..., Any], tmp_path: Path) -> None:
    agent = robot.begin()
    robot.push(agent, [wheel()])
    kept = [
        robot.base / "notes.txt",
        robot.base / "agent" / "mine.sh",
        robot.base / "wheels" / "own.whl",
        robot.base / "envs" / "x",
    ]
    for path in kept:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (robot.base / "tmp" / "link").symlink_to(outside)
    assert agent.result("purge")["left"] == ["agent", "envs", "notes.txt", "wheels"]
    assert [path.read_text() for path in kept] == ["mine"] * 4
    assert (outside / "deep").is_dir()
    assert sorted(path for path in robot.base.rglob("*") if path.is_file()) == sorted(kept)


def test_who_waits_for_a_lock_that_a_purge_removes_takes_the_new_one(robot: Any) -> None:
    robot.base.mkdir(parents=True)
    path = robot.base / "lock"
    held = locks.take(str(path), "run-1", "ada@lab")

    def purged(_words: str) -> None:
        if path.exists():
            path.unlink()
            held.release()

    taken = locks.take(str(path), "run-2", "bob@lab", purged)
    assert json.loads(path.read_text())["run"] == "run-2"
    taken.release()


def test_a_free_lock_and_a_dead_holders_one_are_told_apart(robot: Any) -> None:
    assert unlock(robot) == {"type": "result", "state": "free", "holder": None}
    assert not robot.base.exists()
    robot.begin().kill()
    answer = unlock(robot)
    assert (answer["state"], answer["holder"]["who"]) == ("dead", "ada@lab")
    assert (robot.base / "lock").read_bytes() == b""
    assert unlock(robot)["state"] == "free"


def test_a_live_holder_is_refused_and_ended_by_force_only(robot: Any) -> None:
    agent = robot.begin()
    refused = unlock(robot)
    assert (refused["code"], refused["data"]["who"]) == ("locked", "ada@lab")
    assert agent.process.poll() is None
    answer = unlock(robot, force=True)
    assert (answer["state"], answer["holder"]["run"]) == ("ended", "run-1")
    assert agent.process.wait(30) is not None
    line = json.loads((robot.base / "journal").read_text())
    assert (line["op"], line["who"]) == ("unlock", "bob@lab")
    assert "ada@lab" in line["detail"]
    robot.begin()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system has no /proc")
def test_a_holder_that_does_not_answer_is_killed(robot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from ot2deploy.agent import unlock

    agent = robot.begin()
    agent.process.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(unlock, "PATIENCE", 0.2)
    where = layouts.Layout(root=str(robot.root))
    started = time.monotonic()
    assert unlock.unlock(where, "run-2", "bob@lab", True)["state"] == "ended"
    assert time.monotonic() - started < 30
    assert agent.process.wait(30) == -signal.SIGKILL


def test_a_process_that_does_not_hold_the_lock_is_never_ended(robot: Any) -> None:
    bystander, holder = robot.session(), robot.begin()
    path = robot.base / "lock"
    path.write_text(json.dumps({**json.loads(path.read_text()), "pid": bystander.process.pid}))
    assert unlock(robot, force=True)["code"] == "holder-unknown"
    assert (bystander.process.poll(), holder.process.poll()) == (None, None)


def running(robot: Any, manifest: dict[str, Any]) -> subprocess.Popen[bytes]:
    """A program of a release that waits; it has begun to."""
    program = subprocess.Popen(
        [robot.release(manifest) / "bin/python3", "-c", "print('on', flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert program.stdout is not None
    assert program.stdout.readline() == b"on\n"
    return program


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="this system has no /proc")
@pytest.mark.parametrize("op", ["remove", "purge"])
def test_what_programs_run_from_is_taken_away_by_force_only(robot: Any, wheel: Callable[..., Any], op: str) -> None:
    agent = robot.begin()
    manifest = robot.push(agent, [wheel()])
    other = robot.push(agent, [wheel("other")], environment="second")
    program = running(robot, manifest)
    try:
        refused = agent.ask(op, environment="demo")
        assert (refused["code"], refused["data"]["programs"][0]["pid"]) == ("in-use", program.pid)
        assert refused["details"] == [f"process {program.pid} (python3) runs from demo"]
        assert robot.release(manifest).is_dir()
        if op == "remove":
            assert agent.result("remove", environment="demo", dry_run=True)["programs"][0]["pid"] == program.pid
            assert agent.result("remove", environment="second")["releases"] == [other["digest"]]
        assert agent.result(op, environment="demo", force=True)["programs"][0]["name"] == "python3"
        assert not robot.release(manifest).exists()
    finally:
        program.communicate(b"\n", timeout=30)


def test_a_removal_can_be_seen_before_it_is_done(robot: Any, wheel: Callable[..., Any]) -> None:
    agent = robot.begin()
    manifest = robot.push(agent, [wheel()])
    before = tree(robot.base / "envs")
    told = agent.result("remove", environment="demo", dry_run=True)
    assert (told["current"], told["blobs"]) == (manifest["digest"], 1)
    assert tree(robot.base / "envs") == before
    assert agent.result("remove", environment="demo")["bytes"] == told["bytes"]
