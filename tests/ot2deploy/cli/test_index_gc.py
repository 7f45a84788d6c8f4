"""`ot2deploy index gc`: what locks and robots use stays, and says so; the rest goes when it is asked for."""

from __future__ import annotations

import json
import signal
import time

import pytest
from loopback_index import LONG_AGO, fill

from builder.index.layout import Branch
from builder.index.mirror.own_names import NAMES, OwnNames
from builder.index.tree import Index
from ot2deploy.runs.last_known import Known, last_known

DEV = Branch(profile="ot2-py310", channel="dev")
WHEEL = "demo-{}-py3-none-any.whl"
LOCK = """
lock-version = "1.0"
created-by = "test"
[[packages]]
name = "here"
directory = {{path = "."}}
[[packages]]
name = "demo"
version = "{version}"
wheels = [{{url = "http://index.example/demo-{version}-py3-none-any.whl", hashes = {{sha256 = "{sha256}"}}}}]
"""


def lock(path, version: str, sha256: str = "0" * 64):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(LOCK.format(version=version, sha256=sha256))
    return path


@pytest.fixture
def index(tmp_path) -> Index:
    """A project whose index has demo 1.0, 1.1 and 1.2 in dev."""
    (tmp_path / "environments").mkdir()
    wheels = {str(DEV): [WHEEL.format(version) for version in ("1.0", "1.1", "1.2")]}
    return fill(tmp_path / "index", wheels, uploaded=LONG_AGO)


def versions(index: Index, name: str = "demo") -> list[str]:
    return [file.version for file in index.page(DEV, name).files]


def gc(run_cli, *words) -> dict:
    return run_cli("index", "gc", *words, "--json").good().document["result"]


def kept(result: dict) -> dict[str, list[str]]:
    return {one["version"]: one["uses"] for one in result["kept"]}


def test_old_versions_go_and_what_locks_use_stays(run_cli, index, tmp_path):
    lock(tmp_path / ".ot2deploy" / "locks" / "pylock.prefect.toml", "1.0")
    other = lock(tmp_path / "elsewhere" / "pylock.toml", "9.9", sha256=index.page(DEV, "demo").files[1].sha256)
    shown = run_cli("index", "gc", "--keep", "1", "--uses", other, "--dry-run").good().out
    assert "environment prefect" in shown
    assert f"lock {other}" in shown
    assert "no file to remove" in shown
    result = gc(run_cli, "--keep", "1")
    assert kept(result) == {"1.0": ["environment prefect"]}
    assert versions(index) == ["1.0", "1.2"]
    assert "removed" in run_cli("index", "gc", "--force", "demo==1.0").good().out
    assert versions(index) == ["1.2"]
    acts = run_cli("index", "log", "--json").document["result"]["acts"]
    assert [(act["op"], act["detail"].partition(" files")[0]) for act in acts] == [
        ("remove", "1.1"),
        ("gc", "2"),
        ("remove", "1.0, although used by environment prefect"),
        ("gc", "2"),
    ]


def test_an_own_project_that_goes_stays_the_labs_own(run_cli, tmp_path):
    (tmp_path / "environments").mkdir()
    index = fill(tmp_path / "index", {str(DEV): [WHEEL.format("1.0")]}, own=["demo"])
    gc(run_cli, "--force", "demo==1.0")
    assert index.names(DEV) == ()
    assert OwnNames(index, tmp_path / ".ot2deploy" / "index" / NAMES).covers("demo")


def test_without_conditions_only_leftovers_go(run_cli, index):
    stray = index.root / "ot2-py310" / "files" / WHEEL.format("0.1")
    stray.write_bytes(b"stray")
    assert run_cli("index", "gc").good().out == "1 file removed, 5 B\n"
    assert not stray.exists()
    assert run_cli("index", "gc").good().out == "no file to remove\n"
    assert versions(index) == ["1.0", "1.1", "1.2"]


def test_a_forced_version_that_prod_alone_has_is_told_with_where_it_is(run_cli, index):
    fill(index.root, {"ot2-py310": ["only-1.0-py3-none-any.whl"]})
    ran = run_cli("index", "gc", "--force", "only==1.0")
    assert (ran.status, "only==1.0 is not in the channels other than prod" in ran.err) == (2, True)
    assert "only==1.0 is in prod\n" in ran.err
    assert "--channel NAME" in ran.err
    assert "demo==7 is not in this index\n" in run_cli("index", "gc", "--force", "only==1.0", "--force", "demo==7").err


def test_what_another_channel_keeps_on_the_disk_is_told(run_cli, index):
    run_cli("index", "promote", "demo==1.1", "--from", "dev").good()
    words = ("index", "gc", "--force", "demo==1.1")
    for dry in (("--dry-run",), ()):
        told = run_cli(*words, *dry).good().out
        assert told.endswith("no file to remove\nfiles stay where other channels show them: ot2-py310\n")


def test_yanked_and_old_ones(run_cli, index):
    run_cli("index", "yank", "demo==1.1", "--reason", "bad").good()
    assert gc(run_cli, "--yanked", "--older-than", "99999d")["removed"] == []
    assert [one["version"] for one in gc(run_cli, "--yanked", "--dry-run")["removed"]] == ["1.1"]
    gc(run_cli, "--yanked")
    assert versions(index) == ["1.0", "1.2"]
    gc(run_cli, "--older-than", "1h", "--channel", "dev")
    assert versions(index) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--keep", "0"), "--keep"),
        (("--older-than", "3"), "no time span"),
        (("--force", "demo"), "NAME==VERSION"),
        (("--force", "demo==7"), "demo==7 is not in this index\n"),
        (("--channel", "stable"), "no channel stable"),
        (("--uses", "nowhere.toml"), "nowhere.toml"),
        (("--index", "nowhere"), "there is no index"),
    ],
)
def test_a_wrong_line_is_told_and_removes_nothing(run_cli, index, words, said):
    ran = run_cli("index", "gc", *words)
    assert ran.status == 2
    assert said in ran.err
    assert versions(index) == ["1.0", "1.1", "1.2"]


@pytest.mark.parametrize("text", ["not toml [", "lock-version = '1.0'", "\udcff"])
def test_a_lock_that_cannot_be_read_stops_it(run_cli, index, tmp_path, text):
    path = lock(tmp_path / ".ot2deploy" / "locks" / "pylock.prefect.toml", "1.0")
    path.write_bytes(text.encode(errors="surrogateescape"))
    ran = run_cli("index", "gc", "--keep", "1")
    assert ran.status == 2
    assert f"{path}: cannot be read as a lock" in ran.err
    assert versions(index) == ["1.0", "1.1", "1.2"]


def test_what_a_robot_runs_stays_until_it_runs_something_else(workplace, run_cli):
    """Pushed, rolled back and pushed again: each time what the robot has now is what stays."""
    wheels = {version: workplace.wheel("plates", version) for version in ("1.0", "1.1", "1.2", "1.3")}
    run_cli("index", "build", *wheels.values(), "--channel", "dev", "--profile", "ot2-py310").good()
    index = Index.open(workplace.directory / "index")

    def used() -> dict[str, list[str]]:
        for path in (workplace.directory / ".ot2deploy" / "locks").glob("*"):
            path.unlink()  # they use the version too, which is not what this is about
        return kept(gc(run_cli, "--keep", "1", "--dry-run"))

    def push(version: str) -> str:
        workplace.environment("lab", wheels[version], checks="- import: plates")
        return workplace.push("lab")["plan"]["digest"]

    first = push("1.0")
    assert used() == {"1.0": [f"robot r1 (lab, release {first[:12]})"]}
    second = push("1.1")
    assert used() == {"1.1": [f"robot r1 (lab, release {second[:12]})"]}
    workplace.run("rollback", "lab")
    assert list(used()) == ["1.0"]
    workplace.run("verify", "lab")
    assert list(used()) == ["1.0"]
    third = push("1.2")
    assert used() == {"1.2": [f"robot r1 (lab, release {third[:12]})"]}
    shown = run_cli("index", "gc", "--keep", "1").good().out
    assert f"used by robot r1 (lab, release {third[:12]})" in shown
    assert versions(index, "plates") == ["1.2", "1.3"]


def test_a_push_that_was_killed_leaves_both_releases_in_use(workplace, run_cli):
    workplace.environment("lab", workplace.wheel("plates", "1.0"), checks="- import: plates")
    first = workplace.push("lab")["plan"]["digest"]
    program = "import time; time.sleep(60)"
    workplace.environment("lab", workplace.wheel("plates", "1.1"), program=program)
    running = workplace.start_push("lab", until="r1: verify")
    running.send_signal(signal.SIGKILL)
    running.wait(30)
    state = workplace.directory / ".ot2deploy"
    (known,) = last_known(state).robots
    assert len(known.releases) == 2
    assert first in known.releases
    for release in known.releases:
        assert [wheel.name for wheel in last_known(state).wheels[release]] == ["plates"]


def record(state, number: int, command: str, *events: dict, **start) -> None:
    """A run record as another day's command left it."""
    lines = [{"event": "start", "command": command, **start}, *events]
    path = state / "runs" / f"{number}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"at": f"2026-01-01T00:00:{number:02}Z", **line}) + "\n" for line in lines))


def test_what_is_not_certain_counts_as_used(tmp_path):
    begin = {"event": "begin", "robot": "otto", "environment": "lab", "digest": "new", "current": "old"}
    failed = {"event": "robot", "robot": "otto", "outcome": "failed", "plan": None}
    record(tmp_path, 1, "push", begin, failed)
    assert last_known(tmp_path).robots == (Known(robot="otto", environment="lab", releases=frozenset(["old", "new"])),)
    done = {"event": "robot", "robot": "otto", "outcome": "pushed", "plan": {"environment": "lab", "digest": "newer"}}
    record(tmp_path, 2, "push", {**begin, "digest": "newer", "current": "new"}, done)
    assert last_known(tmp_path).robots[0].releases == {"newer"}
    record(tmp_path, 3, "verify", {"event": "robot", "robot": "otto", "ok": False, "result": None}, environment="lab")
    assert last_known(tmp_path).robots[0].releases == {"newer"}
    record(tmp_path, 4, "rollback", {"event": "robot", "robot": "otto", "ok": False, "result": None}, environment="lab")
    assert last_known(tmp_path).robots[0].releases == {"old", "new", "newer"}
    verified = {"event": "robot", "robot": "otto", "ok": True, "result": {"release": "old"}}
    record(tmp_path, 5, "verify", verified, environment="lab")
    assert last_known(tmp_path).robots[0].releases == {"old"}


def test_damaged_records_harm_no_others(tmp_path):
    release = {"event": "release", "digest": "ab", "environment": "lab", "wheels": [["demo", "1.0", "cd"]]}
    done = {"event": "robot", "robot": "otto", "outcome": "no change", "plan": {"environment": "lab", "digest": "ab"}}
    record(tmp_path, 1, "push", release, {"event": "robot"}, {"event": "release", "wheels": 3, "digest": "x"}, done)
    record(tmp_path, 2, "verify", {"event": "robot", "robot": "otto", "ok": True, "result": "x"}, environment="lab")
    path = tmp_path / "runs" / "1.jsonl"
    path.write_bytes(b'[]\n{"at": \n\xff\n"x"\n3\n' + path.read_bytes() + b'{"at": "2026')
    known = last_known(tmp_path)
    assert (known.robots[0].releases, [wheel.version for wheel in known.wheels["ab"]]) == ({"ab"}, ["1.0"])
    assert last_known(tmp_path / "nowhere").robots == ()


def test_a_release_that_no_record_describes_is_told(run_cli, index, tmp_path):
    done = {"event": "robot", "robot": "otto", "ok": True, "result": {"current": "abcdef0123456789"}}
    record(tmp_path / ".ot2deploy", 1, "rollback", done, environment="lab")
    said = run_cli("index", "gc").good().out
    assert "robot otto may have release abcdef012345 of lab, which no record of this project describes" in said


def test_thousands_of_lines_are_read_at_once(tmp_path):
    done = {"event": "robot", "robot": "otto", "outcome": "pushed", "plan": {"environment": "lab", "digest": "ab"}}
    for number in range(50):
        record(tmp_path, number, "push", *[done] * 100)
    start = time.process_time()
    assert last_known(tmp_path).robots[0].releases == {"ab"}
    assert time.process_time() - start < 5
