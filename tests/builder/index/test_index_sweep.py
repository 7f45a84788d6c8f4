"""Retention and sweeping: what goes, what stays and why, and an index that is whole whoever is killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from loopback_index import fill

from builder.errors import DiskFailure, UsageFailure
from builder.files import sha256_file
from builder.index.change import Change
from builder.index.choose import named
from builder.index.layout import OWN, Branch
from builder.index.page import File, Page
from builder.index.tree import Index
from builder.index.upkeep import sweep as module
from builder.index.upkeep.retention import Policy, Use, Uses, judge, span
from builder.index.upkeep.sweep import Swept, sweep
from builder.index.upkeep.yank import Yank, yank

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DEV = Branch(profile="ot2-py310", channel="dev")
PROD = Branch(profile="ot2-py310")
NOTHING = Uses()


def wheel(version: str, name: str = "demo") -> str:
    return f"{name}-{version}-py3-none-any.whl"


def file(version: str, *, days: int = 0, yanked: str | None = None, sha256: str = "") -> File:
    """A file of a page that was uploaded `days` before NOW."""
    uploaded = (NOW - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return File(
        filename=wheel(version), sha256=sha256 or version, size=1, metadata="", uploaded=uploaded, yanked=yanked
    )


def goes(files: list[File], *, branch: Branch = DEV, uses: Uses = NOTHING, **policy) -> list[str]:
    """The versions of a page that a policy has gone."""
    found = judge([(branch, Page(name="demo", files=tuple(files)))], Policy(now=NOW, **policy), uses)
    return [str(one.version.version) for one in found if one.goes]


FILES = [file("1.0", days=300), file("1.9", days=200, yanked="bad"), file("1.10", days=100), file("2.0", days=10)]


@pytest.mark.parametrize(
    ("policy", "gone"),
    [
        ({}, []),
        ({"keep": 1}, ["1.10", "1.9", "1.0"]),
        ({"keep": 2}, ["1.9", "1.0"]),
        ({"keep": 3}, []),
        ({"older_than": timedelta(days=150)}, ["1.9", "1.0"]),
        ({"older_than": timedelta(days=300)}, []),
        ({"keep": 1, "older_than": timedelta(days=250)}, ["1.0"]),
        ({"yanked": True}, ["1.9"]),
        ({"yanked": True, "older_than": timedelta(days=250)}, []),
        ({"forced": frozenset([named("demo==2.0.0")])}, ["2.0"]),
        ({"forced": frozenset([named("other==2.0")])}, []),
    ],
)
def test_the_conditions_that_are_given_must_all_fit(policy, gone):
    assert goes(FILES, **policy) == gone


def test_of_versions_that_differ_behind_the_plus_only_the_latest_upload_is_the_newest():
    builds = [file("0+c0ffee", days=30), file("0+1a2b", days=20), file("0+beef", days=10)]
    assert goes(builds, keep=1) == ["0+1a2b", "0+c0ffee"]
    assert goes([*builds, file("1.0", days=90)], keep=1) == ["0+beef", "0+1a2b", "0+c0ffee"]


def test_prod_is_touched_only_where_it_is_named():
    assert goes(FILES, branch=PROD, keep=1) == []
    assert goes(FILES, branch=PROD, keep=1, channels=("prod",)) == ["1.10", "1.9", "1.0"]
    assert goes(FILES, keep=1, channels=("prod",)) == []


def test_a_version_with_one_young_or_good_file_stays():
    pair = [file("1.0", days=300, yanked="x"), replace(file("1.0", days=1), filename="demo-1.0-2-py3-none-any.whl")]
    assert goes(pair, older_than=timedelta(days=100)) == goes(pair, yanked=True) == []


def test_what_is_used_stays_and_says_why_by_version_or_by_file():
    uses = Uses(
        uses=(
            Use(what="robot otto (prefect, release ab12)", version=named("demo==1.0.0")),
            Use(what="environment prefect", version=named("demo==1.0")),
            Use(what="environment renamed", version=named("elsewhere==5"), sha256=frozenset(["1.10"])),
        )
    )
    judged = list(judge([(DEV, Page(name="demo", files=tuple(FILES)))], Policy(now=NOW, keep=1), uses))
    assert {str(one.version.version): one.uses for one in judged} == {
        "1.0": ("environment prefect", "robot otto (prefect, release ab12)"),
        "1.9": (),
        "1.10": ("environment renamed",),
    }
    assert goes(FILES, keep=1, uses=uses) == ["1.9"]
    assert goes(FILES, keep=1, uses=uses, forced=frozenset([named("demo==1.0")])) == ["1.9", "1.0"]


def test_thousands_of_pages_are_judged_in_one_pass():
    pages = ((DEV, Page(name=f"n{n}", files=tuple(FILES))) for n in range(2000))
    start = time.process_time()
    assert sum(one.goes for one in judge(pages, Policy(now=NOW, keep=1), NOTHING)) == 6000
    assert time.process_time() - start < 10


@pytest.mark.parametrize(("text", "seconds"), [("12h", 43200), ("90d", 7776000), ("8w", 4838400)])
def test_spans(text, seconds):
    assert span(text) == timedelta(seconds=seconds)
    for bad in ("", "d", "3", "-1d", "1.5d", "3m", "0d", "٣d", "999999d"):
        with pytest.raises(UsageFailure, match="no time span"):
            span(bad)


@pytest.fixture
def index(tmp_path):
    """demo 1.0, 1.1, 1.2 in dev, of which 1.1 is in prod too; the project is the lab's own."""
    names = [wheel(version) for version in ("1.0", "1.1", "1.2")]
    return fill(tmp_path / "index", {"ot2-py310/dev": names, "ot2-py310": names[1:2]}, own=["demo"])


def wheels(index: Index) -> list[str]:
    return sorted(path.name for path in (index.root / "ot2-py310" / "files").iterdir())


def both(*versions: str, name: str = "demo") -> list[str]:
    """The files of versions in `files/`."""
    return sorted(wheel(version, name) + end for version in versions for end in ("", ".metadata"))


def swept(index: Index, uses: Uses = NOTHING, *, dry_run: bool = False, **policy) -> Swept:
    return sweep(index, Policy(now=datetime.now(UTC), **policy), uses, dry_run=dry_run)


def tree(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): sha256_file(path) for path in root.rglob("*") if path.is_file()}


def whole(index: Index) -> None:
    """Every page leads to its files, and says the same in both forms and in the own branch."""
    before = tree(index.root)
    for branch in [*index.branches(), *(Branch(profile=OWN, channel=one) for one in index.channels(OWN))]:
        for page in index.pages(branch):
            assert page.files
            html = (index.root / branch.page(page.name) / "index.html").read_text()
            for one in page.files:
                assert sha256_file(index.wheel("ot2-py310", one.filename)) == one.sha256
                assert one.filename in html
    with index.change() as change:
        change.draw_all()
    assert tree(index.root) == before


def test_versions_leave_the_pages_and_their_files_the_disk_unless_another_channel_has_them(index):
    assert not swept(index).versions
    assert wheels(index) == both("1.0", "1.1", "1.2")
    would = swept(index, keep=1, dry_run=True)
    assert wheels(index) == both("1.0", "1.1", "1.2")
    done = swept(index, keep=1)
    assert would == done
    assert [(str(one.branch), str(one.version)) for one in done.versions] == [
        ("ot2-py310/dev", "demo==1.1"),
        ("ot2-py310/dev", "demo==1.0"),
    ]
    assert [one.path.name for one in done.leftovers] == both("1.0")
    assert done.freed == sum(one.size for one in done.leftovers) > 0
    assert wheels(index) == both("1.1", "1.2")
    assert [one.version for one in index.page(DEV, "demo").files] == ["1.2"]
    assert [act.op for act in done.acts("me")] == ["remove", "remove", "gc"]
    whole(index)
    assert swept(index, keep=1) == Swept(versions=(), leftovers=())


def test_a_project_whose_last_version_goes_leaves_no_page(index):
    yank(index, Yank(version=named("demo==1.1"), reason="bad"))
    done = swept(index, yanked=True, channels=("prod",))
    assert [str(one.branch) for one in done.versions] == ["ot2-py310"]
    assert index.names(PROD) == ()
    assert index.names(Branch(profile=OWN)) == ()
    assert wheels(index) == both("1.0", "1.1", "1.2"), "dev has it still"
    whole(index)


def test_what_is_used_stays_also_where_no_page_names_it_until_it_is_forced(index):
    uses = Uses(uses=(Use(what="environment prefect", version=named("demo==1.0")),))
    done = swept(index, uses, keep=1)
    assert [(str(one.version), one.goes, one.uses) for one in done.versions] == [
        ("demo==1.1", True, ()),
        ("demo==1.0", False, ("environment prefect",)),
    ]
    with index.change() as change:
        change.drop("dev")
    done = swept(index, uses)
    assert {one.path.name: one.uses for one in done.leftovers if one.uses} == dict.fromkeys(
        both("1.0"), ("environment prefect",)
    )
    assert wheels(index) == both("1.0", "1.1")
    assert not list(swept(index, uses).acts("me")), "nothing went"
    swept(index, uses, forced=frozenset([named("demo==1.0")]))
    assert wheels(index) == both("1.1")


def test_what_is_forced_is_told_with_what_used_it(index):
    uses = Uses(uses=(Use(what="robot otto (prefect, release ab12)", version=named("demo==1.0")),))
    done = swept(index, uses, forced=frozenset([named("demo==1.0")]))
    act, _ = done.acts("me")
    assert act.detail == "1.0, although used by robot otto (prefect, release ab12)"
    assert list(act.files) == [wheel("1.0")]
    for forced, channels in (("demo==9", ()), ("other==1", ()), ("demo==1.2", ("prod",))):
        with pytest.raises(UsageFailure, match=f"{forced} is not in"):
            swept(index, forced=frozenset([named(forced)]), channels=channels)
    with pytest.raises(UsageFailure, match="no channel stable"):
        swept(index, channels=("stable",))


def test_rests_of_killed_writers_go_when_nobody_can_be_writing_them(index):
    before = tree(index.root)
    places = [index.root, index.root / "ot2-py310" / "files", index.root / DEV.page("demo"), index.root / PROD.simple]
    old, young = [[place / f".x.{age}.part" for place in places] for age in ("old", "young")]
    for path in (*old, *young):
        path.write_bytes(b"rest")
    for path in old:
        os.utime(path, (1, 1))
    stray = [index.root / "ot2-py310" / "files" / name for name in (wheel("7.0"), wheel("8.0") + ".metadata")]
    for path in stray:
        path.write_bytes(b"stray")
    kept = index.root / "ot2-py310" / "files" / "README.txt"
    kept.write_text("mine")
    page = index.root / DEV.page("gone")
    page.mkdir()
    (page / "index.html").write_text("")
    done = swept(index)
    assert {one.path for one in done.leftovers} == {*old, *stray, page}
    assert done.freed == 4 * len(old) + 5 * len(stray)
    for path in (*young, kept):
        path.unlink()
    assert tree(index.root) == before


KILLED = """
import os, sys, pathlib
from datetime import datetime, timezone
from builder.index.choose import named
from builder.index.upkeep.retention import Policy, Uses
from builder.index.upkeep.sweep import sweep
from builder.index.tree import Index

left = int(sys.argv[2])

def counted(real):
    def call(*words, **more):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)
        return real(*words, **more)
    return call

for name in ("replace", "unlink"):
    setattr(pathlib.Path, name, counted(getattr(pathlib.Path, name)))
os.rmdir = counted(os.rmdir)
policy = Policy(now=datetime.now(timezone.utc), keep=1, forced=frozenset([named("third==1.0")]))
sweep(Index.open(pathlib.Path(sys.argv[1])), policy, Uses())
"""


def test_killed_at_any_moment_it_leaves_a_whole_index_and_the_next_one_ends_the_work(tmp_path):
    """Killed before each of its steps on the disk in turn, until there are no more."""
    made = {"ot2-py310/dev": [wheel("1.0"), wheel("1.1"), wheel("1.0", "other"), wheel("1.1", "other")]}
    made["ot2-py310/dev"].append(wheel("1.0", "third"))
    steps = 0
    while True:
        index = fill(tmp_path / str(steps) / "index", made, own=["demo"])
        done = subprocess.run(
            [sys.executable, "-c", KILLED, index.root, str(steps)], env={**os.environ, "PYTHONPATH": _ROOT}
        )
        for branch in index.branches():
            for page in index.pages(branch):
                assert all(index.wheel("ot2-py310", one.filename).is_file() for one in page.files)
        forced = [named("third==1.0")] if index.page(DEV, "third").files else []
        swept(index, keep=1, forced=frozenset(forced))
        assert wheels(index) == sorted([*both("1.1"), *both("1.1", name="other")])
        for part in index.root.rglob(".*.part"):
            part.unlink()  # too young to be swept
        whole(index)
        if done.returncode == 0:
            break
        steps += 1
    assert steps > 6


_ROOT = str(Path(module.__file__).parents[2])


def test_two_at_once_and_an_upload_between_them_wait_for_each_other(index, tmp_path):
    def change() -> None:
        for number in range(5):
            fill(index.root, {"ot2-py310/dev": [wheel(f"2.{number}")]}, own=["demo"])

    jobs = [threading.Thread(target=lambda: [swept(index, keep=1) for _ in range(5)]) for _ in range(2)]
    jobs.append(threading.Thread(target=change))
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
    swept(index, keep=1)
    assert [one.version for one in index.page(DEV, "demo").files] == ["2.4"]
    assert wheels(index) == both("1.1", "2.4")
    whole(index)


def test_an_own_page_that_a_killed_writer_left_behind_is_drawn_anew(index):
    own = index.root / Branch(profile=OWN, channel="dev").simple
    stale = {path.relative_to(own): path.read_bytes() for path in own.rglob("*") if path.is_file()}
    swept(index, keep=1)
    for path, data in stale.items():
        (own / path).write_bytes(data)
    swept(index)
    assert [one.version for one in index.page(Branch(profile=OWN, channel="dev"), "demo").files] == ["1.2"]
    with index.change() as change:
        change.drop("dev")
    (own / "demo").mkdir(parents=True)
    for path, data in stale.items():
        (own / path).write_bytes(data)
    swept(index)
    assert index.channels(OWN) == ("prod",)
    whole(index)


def test_an_own_page_that_a_killed_writer_did_not_draw_is_drawn_and_stays(index):
    before = tree(index.root)
    (index.root / Branch(profile=OWN, channel="dev").page("demo") / "index.json").unlink()
    swept(index)
    assert tree(index.root) == before


def test_a_profiles_directory_that_somebody_removed_takes_no_other_own_page_with_it(tmp_path):
    index = fill(
        tmp_path / "index",
        {"ot2-py310": [wheel("1.0")], "ot2-py312/dev": [wheel("1.0", "other")]},
        own=["demo", "other"],
    )
    shutil.rmtree(index.root / "ot2-py310")
    swept(index)
    assert index.channels(OWN) == ("dev",)
    assert index.names(Branch(profile=OWN, channel="dev")) == ("other",)


def test_it_is_told_before_anything_goes(index):
    before = tree(index.root)

    def record(done: Swept) -> None:
        assert tree(index.root) == before
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        sweep(index, Policy(now=datetime.now(UTC), keep=1), NOTHING, record=record)
    assert tree(index.root) == before


def test_a_place_that_cannot_be_written_is_told(index):
    (index.root / ".lock").unlink()
    (index.root / ".lock").mkdir()
    with pytest.raises(DiskFailure, match="lock"):
        swept(index)


def test_a_dry_run_needs_no_lock(index):
    with index.change() as held:
        assert isinstance(held, Change)
        assert len(swept(index, keep=1, dry_run=True).versions) == 2
