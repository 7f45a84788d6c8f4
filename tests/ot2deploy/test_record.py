"""Run records: what the host keeps of each changing command."""

from __future__ import annotations

import json
import resource
import threading
from pathlib import Path

import pytest

from builder.errors import DiskFailure, UsageFailure
from ot2deploy.fleet import Outcome
from ot2deploy.inventory import Robot
from ot2deploy.runs import record as module
from ot2deploy.runs.record import RunRecord, who
from ot2deploy.runs.result import RunResult


def lines(record: RunRecord) -> list[dict[str, object]]:
    return [json.loads(line) for line in record.path.read_text().splitlines()]


def test_a_record_begins_with_what_was_asked_and_grows_by_whole_lines(tmp_path: Path) -> None:
    record = RunRecord(tmp_path, "push", target="prefect")
    record.add("robot", robot="otto", path=tmp_path)
    first, second = lines(record)
    assert record.path == tmp_path / "runs" / f"{record.run}.jsonl"
    assert (first["schema"], first["command"], first["target"], first["who"]) == (1, "push", "prefect", who())
    assert (second["event"], second["robot"], second["path"]) == ("robot", "otto", str(tmp_path))
    assert first["run"] == second["run"] == record.run


def test_threads_do_not_tear_each_others_lines(tmp_path: Path) -> None:
    record = RunRecord(tmp_path, "push")
    threads = [
        threading.Thread(target=lambda: [record.add("robot", text="x" * 5000) for _ in range(20)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(record)) == 1 + 8 * 20


def test_two_runs_of_the_same_second_have_their_own(tmp_path: Path) -> None:
    assert len({RunRecord(tmp_path, "push").run for _ in range(5)}) == 5


def test_a_place_that_cannot_be_written_is_said_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(UsageFailure, match="no run record can be written") as caught:
        RunRecord(tmp_path / "state", "push")
    assert "--project" in caught.value.next


def test_a_user_without_a_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(module.getpass, "getuser", nameless)
    assert who().startswith("unknown@")


@pytest.fixture
def full(tmp_path: Path) -> RunRecord:
    """A record on a disk that has become full."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    record = RunRecord(tmp_path, "push")
    record.path.unlink()
    record.path.symlink_to("/dev/full")
    return record


def test_what_would_be_done_is_not_done_when_it_cannot_be_recorded(full: RunRecord) -> None:
    with pytest.raises(DiskFailure, match="No space left") as caught:
        full.add("begin", robot="otto")
    assert "history" in caught.value.next


def test_what_was_done_is_told_when_it_cannot_be_recorded(full: RunRecord) -> None:
    outcome = Outcome(robot=Robot(name="otto", address="192.0.2.1"), value={"current": "a"})
    result = RunResult.recorded("plates", full, (outcome,))
    assert (result.exit_code, str(full.path) in str(result.unrecorded)) == (3, True)
    assert result.as_dict()["unrecorded"]["code"] == "disk"


def test_a_line_after_one_that_was_torn_is_whole(tmp_path: Path) -> None:
    record = RunRecord(tmp_path, "push")
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (record.path.stat().st_size + 10, kept[1]))
        record.add("robot", robot="otto")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
    assert record.failure is not None
    record.add("robot", robot="luigi")
    assert [json.loads(line)["robot"] for line in record.path.read_text().splitlines()[2:]] == ["luigi"]
