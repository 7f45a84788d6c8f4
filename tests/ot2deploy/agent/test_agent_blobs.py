"""Wheels on their way to a robot: missing ones, cut transfers, damage, and a full disk."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


def header(wheel: Any, offset: int = 0, **changes: Any) -> dict[str, Any]:
    """The fields of a blob request."""
    return {"kind": "wheels", "offset": offset, **wheel.blob, **changes}


def payload(data: bytes, size: int = 1000) -> bytes:
    """Data frames of at most `size` bytes."""
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(b"B %d\n%s" % (len(piece), piece) for piece in pieces)


def missing(agent: Any, *wheels: Any) -> list[dict[str, Any]]:
    """The answer to `need`."""
    found: list[dict[str, Any]] = agent.result("need", kind="wheels", blobs=[wheel.blob for wheel in wheels])["missing"]
    return found


def begin_blob(agent: Any, wheel: Any, **changes: Any) -> None:
    """Sends a blob request without waiting for anything."""
    import json

    data = json.dumps({"op": "blob", **header(wheel, **changes)}).encode()
    agent.write(b"J %d\n%s" % (len(data), data))


def test_only_what_is_missing_is_needed(robot: Any, wheel: Callable[..., Any]) -> None:
    here, gone = wheel("here"), wheel("gone")
    agent = robot.begin()
    robot.send(agent, here)
    assert missing(agent, here, gone) == [{"sha256": gone.sha256, "offset": 0}]
    stored = robot.base / "wheels" / here.sha256 / here.path.name
    assert stored.read_bytes() == here.path.read_bytes()
    assert sorted(path.name for path in (robot.base / "wheels").iterdir()) == [here.sha256]


def test_a_cut_transfer_goes_on_where_it_stopped(robot: Any, wheel: Callable[..., Any]) -> None:
    made = wheel("demo", files={"demo.bin": os.urandom(100_000)})
    data = made.path.read_bytes()
    agent = robot.begin()
    begin_blob(agent, made)
    agent.write(payload(data[:50_000]) + b"H 0\n")
    part = robot.base / "wheels" / f"{made.sha256}.part"
    deadline = time.monotonic() + 30
    while not part.exists() or part.stat().st_size < 50_000:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert agent.close() == 3
    agent = robot.begin()
    assert missing(agent, made) == [{"sha256": made.sha256, "offset": 50_000}]
    begin_blob(agent, made, offset=50_000)
    agent.write(payload(data[50_000:]))
    assert agent.answer() == {"type": "result", "ok": True}
    assert missing(agent, made) == []


def test_a_transfer_cut_after_its_last_byte_needs_no_more(robot: Any, wheel: Callable[..., Any]) -> None:
    made = wheel()
    agent = robot.begin()
    part = robot.base / "wheels" / f"{made.sha256}.part"
    part.parent.mkdir()
    part.write_bytes(made.path.read_bytes())
    assert missing(agent, made) == [{"sha256": made.sha256, "offset": made.size}]
    assert agent.result("blob", **header(made, offset=made.size))["ok"]
    assert missing(agent, made) == []


def test_an_offset_beyond_the_part_is_answered_with_the_right_one(robot: Any, wheel: Callable[..., Any]) -> None:
    made = wheel()
    error = robot.begin().ask("blob", **header(made, offset=5))
    assert error["code"] == "blob-offset"
    assert error["data"] == {"offset": 0}


def test_damaged_bytes_are_thrown_away_and_the_session_goes_on(robot: Any, wheel: Callable[..., Any]) -> None:
    made = wheel()
    data = made.path.read_bytes()
    agent = robot.begin()
    begin_blob(agent, made)
    agent.write(payload(data[:-1] + bytes([data[-1] ^ 1])))
    error = agent.answer()
    assert error["code"] == "blob-sha256"
    assert made.path.name in error["what"]
    assert list((robot.base / "wheels").iterdir()) == []
    robot.send(agent, made)


def test_damage_on_disk_is_found_at_install_and_sent_again(
    robot: Any, wheel: Callable[..., Any], manifest_of: Callable[..., Any]
) -> None:
    made = wheel()
    agent = robot.begin()
    robot.send(agent, made)
    agent.close()
    stored = robot.base / "wheels" / made.sha256 / made.path.name
    stored.write_bytes(bytes(made.size))
    agent = robot.begin()
    assert missing(agent, made) == []  # size alone is looked at
    manifest = manifest_of([made])
    assert agent.ask("install", manifest=manifest, method="pip", packs=[])["code"] == "blob-sha256"
    assert missing(agent, made) == [{"sha256": made.sha256, "offset": 0}]
    assert agent.ask("install", manifest=manifest, method="pip", packs=[])["code"] == "blob-missing"
    robot.send(agent, made)
    agent.result("install", manifest=manifest, method="pip", packs=[])


@pytest.mark.parametrize("excess", [-1, 1])
def test_a_blob_of_another_length_is_refused(robot: Any, wheel: Callable[..., Any], excess: int) -> None:
    made = wheel()
    agent = robot.begin()
    begin_blob(agent, made)
    agent.write(payload(made.path.read_bytes()[:excess] if excess < 0 else made.path.read_bytes() + b"x"))
    answer = agent.ask("journal", limit=1) if excess < 0 else agent.answer()
    assert answer["code"] == "bad-request"
    if excess < 0:
        assert agent.answer()["type"] == "result"  # the journal's: the cut blob took only its own answer
    robot.send(agent, made)


@pytest.fixture
def small_disk(robot: Any) -> Iterator[Path]:
    """The robot's base directory on a file system of 1 MB."""
    robot.base.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(robot.base)], capture_output=True, text=True, timeout=30
    )
    if mounted.returncode != 0:
        pytest.skip(f"needs the right to mount a small file system: {mounted.stderr.strip()}")
    yield robot.base
    for agent in robot.agents:
        agent.kill()
    subprocess.run(["umount", "-l", str(robot.base)], check=True, timeout=30)


def test_too_big_for_the_disk_is_said_with_numbers_before_writing(
    robot: Any, wheel: Callable[..., Any], small_disk: Path
) -> None:
    made = wheel(files={"demo.bin": os.urandom(2 << 20)})
    agent = robot.begin()
    begin_blob(agent, made)
    agent.write(payload(made.path.read_bytes(), 1 << 18))
    error = agent.answer()
    assert error["code"] == "disk-full"
    assert error["data"]["needed"] == made.size
    assert 0 < error["data"]["free"] < 1 << 20
    assert list((small_disk / "wheels").iterdir()) == []
    robot.send(agent, wheel("small"))


def test_a_disk_that_fills_up_meanwhile_leaves_no_part(robot: Any, wheel: Callable[..., Any], small_disk: Path) -> None:
    made = wheel(files={"demo.bin": os.urandom(600_000)})
    data = made.path.read_bytes()
    agent = robot.begin()
    begin_blob(agent, made)
    agent.write(payload(data[:1000]))
    part = small_disk / "wheels" / f"{made.sha256}.part"
    deadline = time.monotonic() + 30
    while not part.exists() or part.stat().st_size < 1000:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (small_disk / "other").write_bytes(bytes(700_000))
    agent.write(payload(data[1000:]))
    assert agent.answer()["code"] == "disk-full"
    assert not part.exists()


def test_a_disk_too_small_for_the_release_leaves_no_release(
    robot: Any, wheel: Callable[..., Any], manifest_of: Callable[..., Any], small_disk: Path
) -> None:
    made = wheel(files={"demo.bin": os.urandom(600_000)})
    agent = robot.begin()
    robot.send(agent, made)
    manifest = manifest_of([made])
    assert agent.ask("install", manifest=manifest, method="pip", packs=[])["code"] == "disk-full"
    assert not robot.release(manifest).exists()
