"""Programs are ended with all that they started: in time-out, and when another thread says so."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import builder
from builder.errors import BuildFailure, ToolFailure, last_lines
from builder.files import locked
from builder.run import environment, run, stopping


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "alive"
    os.mkfifo(path)
    return path


def holding(fifo: Path) -> list[str]:
    """A program whose child holds the FIFO open for writing; whoever reads it sees the end when both are gone."""
    child = "import sys, time; print('up', flush=True); time.sleep(600)"
    parent = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], stdout=open({str(fifo)!r}, 'w'))"
    )
    return [sys.executable, "-c", parent]


def test_a_time_out_ends_the_whole_group(fifo: Path) -> None:
    alive = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    said = b""
    for timeout in (2, 20, 200):  # on a busy machine the child may not be there after the shorter ones
        with pytest.raises(ToolFailure, match=f"did not end within {timeout} s"):
            run(holding(fifo), timeout=timeout, env=environment())
        if said := os.read(alive, 10):
            break
    assert said == b"up\n"
    os.set_blocking(alive, True)
    assert os.read(alive, 10) == b""  # the end: nobody holds it any more
    os.close(alive)


def test_stopping_ends_what_other_threads_run_and_lets_nothing_begin(fifo: Path) -> None:
    failures: list[ToolFailure] = []

    def work() -> None:
        try:
            run(holding(fifo), timeout=600, env=environment())
        except ToolFailure as failure:
            failures.append(failure)

    thread = threading.Thread(target=work)
    thread.start()
    with fifo.open("rb") as alive:
        assert alive.readline() == b"up\n"
        with stopping():
            assert alive.read() == b""  # the end: nobody holds it any more
            thread.join(60)
            with pytest.raises(ToolFailure, match="was not started: interrupted"):
                run([sys.executable, "-c", ""], timeout=60)
    assert [failure.status for failure in failures] == [-9]
    assert run([sys.executable, "-c", ""], timeout=60).status == 0


def test_whoever_waits_for_a_lock_gives_up_too(tmp_path: Path) -> None:
    failures: list[BuildFailure] = []

    def wait() -> None:
        try:
            with locked(tmp_path / "lock"):
                pass
        except BuildFailure as failure:
            failures.append(failure)

    with locked(tmp_path / "lock"):
        thread = threading.Thread(target=wait)
        thread.start()
        with stopping():
            thread.join(60)
    assert [str(failure) for failure in failures] == ["interrupted while waiting for lock"]
    with locked(tmp_path / "lock"):
        pass


def test_a_lock_goes_from_one_to_the_next(tmp_path: Path) -> None:
    held: list[int] = []

    def work(number: int) -> None:
        with locked(tmp_path / "lock"):
            assert not held
            held.append(number)
            held.remove(number)
            done.append(number)

    done: list[int] = []
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    with locked(tmp_path / "lock"):
        for thread in threads:
            thread.start()
        assert done == []
    for thread in threads:
        thread.join(60)
    assert sorted(done) == list(range(8))


def test_the_end_of_what_was_printed_has_no_frames() -> None:
    code = "print('first'); print('second', flush=True); raise ValueError('the reason')"
    with pytest.raises(ToolFailure) as caught:
        run([sys.executable, "-c", code], timeout=60, log=None)
    assert caught.value.details == ("ValueError: the reason",)
    text = "a\nTraceback (most recent call last):\n  File x\n    y\n\n  z\nValueError: b\n" + "c\n" * 20
    assert last_lines(text, 30) == ("a", "ValueError: b", *["c"] * 20)
    assert last_lines(text) == ("c",) * 15


def test_what_we_run_does_not_outlive_us_when_we_are_killed(fifo: Path) -> None:
    """SIGKILL leaves no time to end anything, and the program is of a session of its own."""
    code = (
        "import subprocess, sys\nfrom builder.run import environment, run\n"
        "run([sys.executable, '-c', ''], timeout=60)\n"
        f"run({holding(fifo)!r}, timeout=600, env=environment())"
    )
    root = Path(builder.__file__).parent.parent
    caller = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(root)})
    with fifo.open("rb") as alive:
        assert alive.readline() == b"up\n"
        caller.kill()
        caller.wait()
        assert alive.read() == b""


def test_many_programs_at_the_terminal_keep_the_watchdog_from_nothing() -> None:
    """It was not told of their beginnings, but of their ends: its list doubled with each, and so did our own end."""
    code = "from builder.run import run\nfor _ in range(40): run(['true'], timeout=60, terminal=True)\n"
    root = Path(builder.__file__).parent.parent
    subprocess.run(
        [sys.executable, "-c", code + "run(['true'], timeout=60)"],
        env={**os.environ, "PYTHONPATH": str(root)}, check=True, timeout=60,
    )  # fmt: skip
