"""Nothing is lost by `ot2deploy wheel build`: two builds at once, a disk that fills up, a store that was damaged."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from quick_project import quick_sdist
from small_disk import fill, small_disk

from builder.files import sha256_file
from builder.store import Blob, Store

ROOT = Path(__file__).resolve().parents[3]
BUILD = ("wheel", "build", "--offline", "./good-1.0.tar.gz")
WHEEL = "good-1.0-py3-none-any.whl"
Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> Path:
    (tmp_path / "environments").mkdir()
    quick_sdist(tmp_path, "good")
    return tmp_path


@pytest.fixture
def cache(clean_environment: None) -> Path:
    return Path(os.environ["OT2DEPLOY_CACHE"])


def compiled(cache: Path) -> int:
    """How often a back end ran."""
    return sum(log.read_text().count("compiling good") for log in cache.glob("logs/build/*.log"))


def the_wheel(cache: Path) -> Blob:
    """The one wheel in the store."""
    store = Store(cache / "store")
    (found,) = (blob for sha256 in store.hashes() if (blob := store.blob(sha256)) and blob.filename == WHEEL)
    return found


def start(project: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ot2deploy", *BUILD, *words],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def waits_for_a_lock(program: subprocess.Popen[str]) -> bool:
    """Whether the kernel holds a process (or a thread of it) until another one lets go of a file."""
    rows = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return any(row[1] == "->" and row[2] == "FLOCK" and row[5] == str(program.pid) for row in rows)


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="who waits for a lock is told by Linux only")
def test_of_two_at_once_one_builds_and_the_other_waits_for_its_wheel(project: Path, cache: Path) -> None:
    gate = project / "gate"
    os.mkfifo(gate)
    quick_sdist(project, "good", before=f"open({str(gate)!r}).read()")
    first = start(project)
    with gate.open("w"):  # the first one's back end runs, and goes on when this is closed
        second = start(project, "--dist-tree-root", "other")
        deadline = time.monotonic() + 120
        while not waits_for_a_lock(second):
            assert second.poll() is None, second.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
    said = [program.communicate(timeout=120) for program in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], said
    assert compiled(cache) == 1
    files = sorted(project.rglob(WHEEL))
    assert [file.parent for file in files] == [project / "dist" / "ot2-py310", project / "other" / "ot2-py310"]
    assert sha256_file(files[0]) == sha256_file(files[1]) == the_wheel(cache).sha256


def failure(ran: Any) -> dict[str, Any]:
    """The error of a command line that made one wheel or none."""
    assert ran.status == 1, ran
    document = ran.document
    return document["error"] or document["result"]["failed"][0]["error"]


def left_behind(cache: Path) -> list[Path]:
    """What only a living build may have in the cache."""
    return [*cache.glob("work/build-*"), *cache.glob("store/tmp/*"), *cache.rglob("*.part")]


def test_a_disk_that_is_full_at_any_moment(run_cli: Run, project: Path, cache: Path) -> None:
    quick_sdist(project, "other")
    with small_disk(cache) as ballast:
        run_cli("wheel", "build", "--offline", "./other-1.0.tar.gz").good()  # brings Python's headers
        store = Store(cache / "store")
        failures = []
        for pages in (0, 1, 2, 4, 8, 16, 24, 32, 48, 64, 128, 256, 1024):
            fill(ballast, free=pages * 4096)
            ran = run_cli(*BUILD, "--json")
            assert left_behind(cache) == []
            assert [sha256 for sha256 in store.hashes() if store.record(sha256) and not store.blob(sha256)] == []
            if ran.status == 0:
                break
            failures.append(failure(ran))
            assert not list(project.glob("dist/*/good*"))
        assert {error["code"] for error in failures} == {"disk"}
        assert all("No space left" in error["what"] or "no space left" in error["what"] for error in failures)
        assert the_wheel(cache).sha256 == sha256_file(project / "dist" / "ot2-py310" / WHEEL)


def test_a_back_end_that_finds_no_room(run_cli: Run, project: Path, cache: Path) -> None:
    quick_sdist(project, "good", before="open('large', 'wb').write(bytes(20_000_000))")
    with small_disk(cache):
        error = failure(run_cli(*BUILD, "--json"))
        assert error["code"] == "disk"
        assert "no space left on this host" in error["what"]
        assert "OSError: [Errno 28] No space left on device" in error["details"]
        assert left_behind(cache) == []


def test_no_room_for_the_finished_wheel(run_cli: Run, project: Path) -> None:
    with small_disk(project / "dist") as ballast:
        fill(ballast, free=0)
        error = failure(run_cli(*BUILD, "--json"))
        assert (error["code"], str(project / "dist") in error["what"]) == ("disk", True)
        assert (
            error["next"] == f"Free some space there, or use another directory than {project / 'dist' / 'ot2-py310'}."
        )
        assert not [file for file in project.rglob("dist/*/*") if file.is_file()]
        ballast.unlink()
        assert run_cli(*BUILD, "--json").good().document["result"]["wheels"][0]["reused"]


def flip(path: Path) -> None:
    """Other bytes, as many."""
    path.write_bytes(path.read_bytes()[:-9] + b"\xff" * 9)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def vanish(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [flip, cut, vanish])
def test_a_wheel_that_was_damaged_in_the_store_is_made_again(
    run_cli: Run, project: Path, cache: Path, damage: Callable[[Path], None]
) -> None:
    run_cli(*BUILD).good()
    blob = the_wheel(cache)
    damage(blob.path)
    (project / "dist" / "ot2-py310" / WHEEL).unlink()
    run_cli(*BUILD).good()
    assert compiled(cache) == 2
    assert sha256_file(project / "dist" / "ot2-py310" / WHEEL) == blob.sha256 == sha256_file(the_wheel(cache).path)


def test_damage_that_hides_its_time_is_no_wheel_and_the_next_build_heals_it(
    run_cli: Run, project: Path, cache: Path
) -> None:
    quick_sdist(project, "other")
    run_cli(*BUILD).good()
    blob, when = the_wheel(cache), the_wheel(cache).path.stat().st_mtime_ns
    flip(blob.path)
    os.utime(blob.path, ns=(when, when))
    made = project / "dist" / "ot2-py310" / WHEEL
    made.unlink()
    ran = run_cli(*BUILD, "./other-1.0.tar.gz", "--json")
    assert failure(ran)["what"] == "is damaged in the store"
    assert [wheel["name"] for wheel in ran.document["result"]["wheels"]] == ["other"]
    assert not made.exists()
    run_cli(*BUILD).good()
    assert sha256_file(made) == blob.sha256
