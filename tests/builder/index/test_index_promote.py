"""Promotion between channels, and yanking: the same files, all or nothing, told on both forms of a page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from loopback_index import serving
from wheel_factory import make_wheel

from builder.engine import open_engine
from builder.errors import UsageFailure
from builder.files import sha256_file
from builder.index.choose import named
from builder.index.entry.admit import admit
from builder.index.layout import Branch
from builder.index.page import Page
from builder.index.tree import Index
from builder.index.upkeep.channels import drop
from builder.index.upkeep.promote import Promotion, PromotionRefused, promote
from builder.index.upkeep.yank import Yank, yank
from builder.profile import load

PROFILES = ("ot2-py310", "ot2-py312")


def branch(channel: str = "prod", profile: str = "ot2-py310") -> Branch:
    return Branch(profile=profile, channel=channel)


@pytest.fixture
def index(tmp_path):
    return Index.create(tmp_path / "index")


@pytest.fixture
def upload(tmp_path, index):
    """Puts wheels into a branch: upload("dev", "demo-1.0", ...)."""
    engine = open_engine(tmp_path / "locks", store_root=tmp_path / "store")
    (tmp_path / "wheels").mkdir()

    def put(channel: str, *names: str, profile: str = "ot2-py310") -> None:
        with index.change() as change:
            for name in names:
                path = make_wheel(tmp_path / "wheels", f"{name}-py3-none-any.whl")
                change.add(branch(channel, profile), admit(path, load(profile), engine))

    return put


def files(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): sha256_file(path) for path in root.rglob("*") if path.is_file()}


def versions(index: Index, where: Branch, name: str = "demo") -> list[str]:
    return [file.version for file in index.page(where, name).files]


def to_prod(*names: str, **more) -> Promotion:
    return Promotion(names=tuple(map(named, names)), source="dev", target="prod", **more)


def test_of_a_loose_files_builds_the_latest_upload_is_the_newest(index, upload):
    upload("dev", "demo-0+c0ffee")
    upload("dev", "demo-0+1a2b")
    (moved,) = promote(index, to_prod("demo"))
    assert moved.version == "0+1a2b"


def test_the_same_file_enters_the_other_channel_and_nothing_is_copied(index, upload):
    upload("dev", "demo-1.0", "demo-1.1", "other-1.0")
    wheels = set((index.root / "ot2-py310" / "files").iterdir())
    (moved,) = promote(index, to_prod("Demo==1.0"))
    assert (str(moved.branch), moved.name, moved.version, len(moved.new)) == ("ot2-py310", "demo", "1.0", 1)
    assert index.page(branch(), "demo").files == index.page(branch("dev"), "demo").files[:1]
    assert set((index.root / "ot2-py310" / "files").iterdir()) == wheels
    assert index.names(branch()) == ("demo",)
    assert versions(index, branch("dev")) == ["1.0", "1.1"]
    act = moved.act("me", "dev")
    assert (act.op, act.branches, act.detail) == ("promote", ("ot2-py310/dev", "ot2-py310"), "1.0 from dev to prod")
    assert act.files == {moved.files[0].filename: moved.files[0].sha256}


def test_without_a_version_the_newest_good_one_goes(index, upload):
    upload("dev", "demo-1.9", "demo-1.10", "demo-1.11")
    yank(index, Yank(version=named("demo==1.11"), reason="wrong volumes"))
    (moved,) = promote(index, to_prod("demo"))
    assert moved.version == "1.10"
    assert versions(index, branch()) == ["1.10"]


def test_one_version_goes_in_all_profiles_that_have_it(index, upload):
    upload("dev", "demo-1.0", "demo-2.0")
    upload("dev", "demo-1.0", profile="ot2-py312")
    assert [str(one.branch) for one in promote(index, to_prod("demo"))] == ["ot2-py310"]
    assert {str(one.branch) for one in promote(index, to_prod("demo==1.0"))} == set(PROFILES)
    with pytest.raises(PromotionRefused) as caught:
        promote(index, to_prod("demo", profiles=PROFILES))
    assert caught.value.details == ("ot2-py312/dev does not have demo==2.0; it has 1.0",)


def test_everything_of_a_channel_but_what_is_yanked(index, upload):
    upload("dev", "demo-1.0", "demo-1.1", "other-3.0")
    upload("dev", "only-1.0", profile="ot2-py312")
    yank(index, Yank(version=named("demo==1.0"), reason=""))
    moved = promote(index, to_prod(profiles=PROFILES))
    assert [(one.name, one.version) for one in moved] == [("demo", "1.1"), ("only", "1.0"), ("other", "3.0")]
    before = files(index.root)
    assert not any(one.new for one in promote(index, to_prod()))
    assert files(index.root) == before


def test_all_or_nothing_with_every_reason(index, upload):
    upload("dev", "good-1.0", "demo-1.0", "stopped-1.0", "lost-1.0")
    yank(index, Yank(version=named("demo==1.0"), reason="crashes"))
    promote(index, to_prod("stopped"))
    yank(index, Yank(version=named("stopped==1.0"), reason="spills", channels=("prod",)))
    index.wheel("ot2-py310", "lost-1.0-py3-none-any.whl").unlink()
    before = files(index.root)
    with pytest.raises(PromotionRefused, match="nothing was promoted from dev to prod") as caught:
        promote(index, to_prod("good", "demo", "stopped", "lost", "absent", "good==7"))
    assert caught.value.details == (
        "every version of demo is yanked in ot2-py310/dev: crashes",
        "stopped==1.0 is yanked in ot2-py310: spills",
        "lost-1.0-py3-none-any.whl is missing in the index: upload it again",
        "ot2-py310/dev does not have absent",
        "ot2-py310/dev does not have good==7; it has 1.0",
    )
    assert files(index.root) == before


def test_a_dry_run_says_it_and_does_not_do_it(index, upload):
    upload("dev", "demo-1.0")
    before = files(index.root)
    assert promote(index, to_prod("demo"), dry_run=True)[0].new
    assert yank(index, Yank(version=named("demo==1.0"), reason="x"), dry_run=True)[0].changed
    assert drop(index, "dev", dry_run=True).projects == 1
    assert files(index.root) == before


@pytest.mark.parametrize(
    ("source", "target", "profiles", "said"),
    [
        ("dev", "dev", (), "both channels are dev"),
        ("stagin", "prod", (), "the index has no channel stagin"),
        ("dev", "prod", ("ot2-py39",), "the index has no profile ot2-py39"),
        ("dev", "prod", PROFILES, "ot2-py312 has no channel dev"),
    ],
)
def test_channels_and_profiles_that_are_not_there_are_told(index, upload, source, target, profiles, said):
    upload("dev", "demo-1.0")
    upload("prod", "demo-1.0", profile="ot2-py312")
    with pytest.raises(UsageFailure, match=said):
        promote(index, Promotion(names=(named("demo"),), source=source, target=target, profiles=profiles))


@pytest.mark.parametrize("text", ["", "==1.0", "demo==", "demo==x", "demo>=1", "demo==1.*", "a b", "../x==1"])
def test_what_is_no_version_is_told(text):
    with pytest.raises(UsageFailure, match="is not NAME"):
        named(text, exact=True)


def test_a_yank_stands_on_both_forms_in_all_channels_and_is_taken_back(index, upload):
    upload("dev", "demo-1.0", "demo-1.1")
    promote(index, to_prod())
    before = files(index.root)
    reason = 'volumes are <10x> & "wrong"'
    found = yank(index, Yank(version=named("demo==1.1"), reason=f" {reason} "))
    assert {str(one.branch): len(one.changed) for one in found} == {"ot2-py310": 1, "ot2-py310/dev": 1}
    assert [found[0].act("me").op, found[0].act("me").detail] == ["yank", f"1.1: {reason}"]
    for where in (branch(), branch("dev"), branch(profile="own")):
        directory = index.root / where.page("demo")
        old, new = json.loads((directory / "index.json").read_bytes())["files"]
        assert (old["yanked"], new["yanked"]) == (False, reason)
        assert 'data-yanked="volumes are &lt;10x&gt; &amp; &quot;wrong&quot;"' in (directory / "index.html").read_text()
    assert not any(one.changed for one in yank(index, Yank(version=named("demo==1.1"), reason=reason)))
    back = yank(index, Yank(version=named("demo==1.1"), reason=None))
    assert [one.act("me").op for one in back] == ["unyank", "unyank"]
    assert files(index.root) == before


def test_a_yank_can_be_of_one_file_in_one_channel(index, upload):
    upload("dev", "demo-1.0", "demo-1.0-2")
    promote(index, to_prod("demo"))
    file = "demo-1.0-2-py3-none-any.whl"
    yank(index, Yank(version=named("demo==1.0"), files=(file,), reason="", channels=("prod",)))
    assert [one.yanked for one in index.page(branch(), "demo").files] == [None, ""]
    assert [one.yanked for one in index.page(branch("dev"), "demo").files] == [None, None]
    (moved,) = promote(index, Promotion(names=(named("demo"),), source="prod", target="staging"))
    assert [one.filename for one in moved.files] == ["demo-1.0-py3-none-any.whl"]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"version": "demo==2.0"}, "ot2-py310/dev: there is no demo==2.0"),
        ({"version": "demo==1.0", "files": ("demo-1.1.whl",)}, "there is no demo-1.1.whl"),
        ({"version": "demo==1.0", "reason": "two\nlines"}, "one line"),
        ({"version": "demo==1.0", "reason": "\x1b[31mred"}, "one line"),
        ({"version": "demo==1.0", "reason": "x" * 501}, "one line"),
        ({"version": "demo==1.0", "channels": ("stable",)}, "no channel stable"),
    ],
)
def test_what_cannot_be_yanked_is_told(index, upload, wanted, said):
    upload("dev", "demo-1.0")
    before = files(index.root)
    with pytest.raises(UsageFailure, match=re.escape(said)):
        yank(index, Yank(**{"reason": "x", **wanted, "version": named(wanted["version"])}))
    assert files(index.root) == before


def test_a_channel_is_dropped_and_its_wheels_wait_for_the_collection(index, upload):
    upload("dev", "demo-1.0", "demo-1.1")
    promote(index, to_prod("demo==1.0"))
    dropped = drop(index, "dev")
    assert (dropped.branches, dropped.projects) == (("ot2-py310/dev",), 1)
    assert dropped.only == ("ot2-py310/demo-1.1-py3-none-any.whl",)
    assert index.branches() == (branch(),)
    assert versions(index, branch()) == ["1.0"]
    assert not (index.root / "ot2-py310" / "dev").exists()
    assert drop(index, "dev").branches == ()
    with pytest.raises(UsageFailure, match="prod cannot be dropped"):
        drop(index, "prod")


def test_pip_warns_with_the_reason_when_pinned_and_takes_another_when_not(index, upload, tmp_path):
    upload("dev", "demo-1.0", "demo-1.1")
    yank(index, Yank(version=named("demo==1.1"), reason="volumes are wrong"))
    with serving(index.root) as served:
        bases = {"html": index.root.as_uri(), "json": served.url}
        for form, base in bases.items():
            for wanted, version in (("demo", "1.0"), ("demo==1.1", "1.1")):
                done = _pip(wanted, f"{base}/{branch('dev').simple}/", tmp_path / f"{form}-{version}")
                assert done.returncode == 0, done.stderr
                assert f"demo-{version}" in done.stdout
                assert ("Reason for being yanked: volumes are wrong" in done.stderr) == (version == "1.1")


def _pip(wanted: str, url: str, target: Path) -> subprocess.CompletedProcess[str]:
    words = ["install", "--no-cache-dir", "--no-deps", "--target", str(target), "--index-url", url, wanted]
    return subprocess.run(
        [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", *words],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_an_empty_page_is_not_left_where_nothing_was(index, upload):
    upload("dev", "demo-1.0")
    with index.change() as change:
        change.put(branch("dev"), Page(name="demo"))
    assert index.names(branch("dev")) == ()
