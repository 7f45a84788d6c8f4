"""Exports: what an index has as files that anybody can serve, carry and check; brought up to date and resumed."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pypi_simple import ProjectPage
from wheel_factory import make_wheel

from builder.engine import Engine, open_engine
from builder.errors import BuildFailure, UsageFailure
from builder.events import Event
from builder.files import sha256_file
from builder.index.change import Conflict
from builder.index.entry.collect import How, collect
from builder.index.entry.offers import Offer
from builder.index.export.chosen import of_bundles, of_index
from builder.index.export.export import export
from builder.index.layout import Branch
from builder.index.tree import Index
from builder.profile import load

PY310, PY312 = Branch(profile="ot2-py310"), Branch(profile="ot2-py312")
DEV = Branch(profile="ot2-py310", channel="dev")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_engine(tmp_path / "locks", store_root=tmp_path / "store")


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index.create(tmp_path / "index")


@pytest.fixture
def put(tmp_path: Path, engine: Engine, index: Index) -> Any:
    """Puts a new wheel into a branch of the index; its path there."""

    def make(branch: Branch, filename: str = "demo-1.0-py3-none-any.whl", text: bytes = b"VALUE = 1\n") -> Path:
        where = tmp_path / "wheels" / str(len(list((tmp_path / "wheels").glob("*"))))
        where.mkdir(parents=True)
        path = make_wheel(where, filename, {"demo.py": text})
        offer = Offer(path=path, profiles=(load(branch.profile),))
        assert not collect(index, [offer], engine, How(channel=branch.channel)).refused
        return index.wheel(branch.profile, filename)

    return make


def take_off(index: Index, branch: Branch, name: str = "demo") -> None:
    with index.change() as change:
        change.put(branch, replace(index.page(branch, name), files=()))


def files(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): sha256_file(path)
        for path in root.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def times(root: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def test_only_what_pages_name_is_copied_and_all_of_it_is_listed(tmp_path: Path, index: Index, put: Any) -> None:
    stale = put(PY310, "stale-1.0-py3-none-any.whl")
    put(PY310)
    put(PY312, "demo-1.0-cp312-none-any.whl")
    take_off(index, PY310, "stale")
    done = export(of_index(index), tmp_path / "out")
    found = files(done.root)
    assert not [path for path in found if stale.name in path]
    assert set(done.files) == set(found)
    sums = dict(line.split("  ")[::-1] for line in (done.root / "SHA256SUMS").read_text().splitlines())
    assert sums == {path: digest for path, digest in found.items() if path != "SHA256SUMS"}
    manifest = json.loads((done.root / "manifest.json").read_bytes())
    assert (manifest["schema"], manifest["complete"], manifest["profiles"]) == (1, True, ["ot2-py310", "ot2-py312"])
    (row,) = [row for row in manifest["files"] if row["branches"] == ["ot2-py310"]]
    assert (row["project"], row["version"], row["sha256"]) == ("demo", "1.0", found[row["path"]])
    assert row["size"] == (done.root / row["path"]).stat().st_size
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=done.root, check=True, timeout=60)


def test_an_export_is_an_index_with_relative_links_whatever_the_first_has(tmp_path: Path, put: Any) -> None:
    index = Index.create(tmp_path / "index", "http://index.example/")
    put(PY310)
    put(DEV)
    out = export(of_index(index), tmp_path / "out").root
    html = out / DEV.page("demo") / "index.html"
    (package,) = ProjectPage.from_html("demo", html.read_text(), base_url=html.as_uri()).packages
    place = Path(package.url.removeprefix("file://").partition("#")[0]).resolve()
    assert place == out / "ot2-py310" / "files" / "demo-1.0-py3-none-any.whl"
    assert Index.open(out).page(DEV, "demo") == index.page(DEV, "demo")
    assert export(of_index(Index.open(out)), tmp_path / "again").manifest["files"]
    absolute = export(of_index(index), tmp_path / "web", root_url="http://web.example/w").root
    assert "http://web.example/w/ot2-py310/files/" in (absolute / PY310.page("demo") / "index.html").read_text()


def test_some_profiles_and_channels(tmp_path: Path, index: Index, put: Any) -> None:
    put(PY310)
    put(DEV, "new-1.0-py3-none-any.whl")
    put(PY312)
    out = export(of_index(index, ["ot2-py310"], ["prod"]), tmp_path / "out").root
    assert Index.open(out).branches() == (PY310,)
    assert not (out / "ot2-py310" / "files" / "new-1.0-py3-none-any.whl").exists()
    for profiles, channels in ((["ot2-py39"], []), ([], ["staging"])):
        with pytest.raises(UsageFailure, match=r"has no (profile ot2-py39|channel staging)"):
            of_index(index, profiles, channels)


def test_the_same_again_writes_nothing(tmp_path: Path, index: Index, put: Any) -> None:
    put(PY310)
    assert export(of_index(index), tmp_path / "out").changed
    before = times(tmp_path / "out")
    again = export(of_index(index), tmp_path / "out")
    assert (again.changed, again.written, again.removed) == (False, 0, ())
    assert times(tmp_path / "out") == before


def test_it_is_brought_up_to_date_and_leaves_what_others_put_there(tmp_path: Path, index: Index, put: Any) -> None:
    put(PY310)
    put(DEV, "old-1.0-py3-none-any.whl")
    put(PY312)
    out = export(of_index(index), tmp_path / "out").root
    (out / "READ ME.html").write_text("of the lab")
    take_off(index, DEV, "old")
    shutil.rmtree(index.root / DEV.simple.parent)
    put(PY310, "demo-1.1-py3-none-any.whl")
    done = export(of_index(index, ["ot2-py310"]), out)
    assert (done.written, len(done.removed)) == (1, 2)
    assert set(files(out)) == {*done.files, "READ ME.html"}
    assert set(files(export(of_index(index, ["ot2-py310"]), tmp_path / "fresh").root)) == set(done.files)
    assert "ot2-py312" not in (out / "index.html").read_text()
    assert not [path for path in out.rglob("*") if path.is_dir() and not any(path.iterdir())]
    assert Index.open(out).branches() == (PY310,)
    assert [file.version for file in Index.open(out).page(PY310, "demo").files] == ["1.0", "1.1"]
    assert len(Index.open(out).page(Branch(profile="own"), "demo").files) == 2


def test_what_was_cut_off_is_gone_on_with(tmp_path: Path, index: Index, put: Any) -> None:
    for number in range(4):
        put(PY310, f"demo-1.{number}-py3-none-any.whl")
    export(of_index(index), tmp_path / "out")
    take_off(index, PY310)
    for number in range(3):
        put(PY310, f"demo-2.{number}-py3-none-any.whl")

    def cut(event: Event) -> None:
        raise KeyboardInterrupt  # after the first wheel

    with pytest.raises(KeyboardInterrupt):
        export(of_index(index), tmp_path / "out", report=cut)
    (tmp_path / "out" / "ot2-py310" / "files" / ".demo-2.1.whl.abcd.part").write_text("of a killed one")
    assert json.loads((tmp_path / "out" / "manifest.json").read_bytes())["complete"] is False
    done = export(of_index(index), tmp_path / "out")
    assert (done.written, len(done.removed), done.manifest["complete"]) == (2, 4, True)
    assert set(files(tmp_path / "out")) == set(done.files)


def test_a_file_that_was_damaged_on_the_stick_is_written_again(tmp_path: Path, index: Index, put: Any) -> None:
    put(PY310)
    out = export(of_index(index), tmp_path / "out").root
    whole = files(out)
    for path in ("ot2-py310/files/demo-1.0-py3-none-any.whl", "ot2-py310/simple/demo/index.html", "SHA256SUMS"):
        data = bytearray((out / path).read_bytes())
        data[20] ^= 1
        (out / path).write_bytes(data)
    assert export(of_index(index), out).written == 1
    assert files(out) == whole


def test_a_wheel_that_is_damaged_in_the_index_is_not_passed_on(tmp_path: Path, index: Index, put: Any) -> None:
    path = put(PY310)
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    with pytest.raises(BuildFailure, match="damaged"):
        export(of_index(index), tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.whl"))
    path.unlink()
    with pytest.raises(BuildFailure, match="damaged or gone"):
        of_index(index)


def test_targets_that_need_no_wheel_make_no_export(engine: Engine) -> None:
    with pytest.raises(UsageFailure, match="nothing to export"):
        of_bundles([], engine, "prod")


@pytest.mark.parametrize("holds", ["file", "foreign", "index", "other kind", "newer", "outside"])
def test_a_directory_that_holds_something_else_is_left_alone(
    tmp_path: Path, index: Index, put: Any, holds: str
) -> None:
    put(PY310)
    out = tmp_path / "out"
    if holds == "file":
        out.write_text("mine")
    elif holds == "foreign":
        out.mkdir()
        (out / "manifest.json").write_text("{}")
    elif holds == "index":
        shutil.copytree(index.root, out)
    else:
        export(of_index(index), out, flat=holds == "other kind")
        manifest = json.loads((out / "manifest.json").read_bytes())
        manifest |= {"newer": {"schema": 2}, "outside": {"stale": ["../precious.whl"]}}.get(holds, {})
        (out / "manifest.json").write_text(json.dumps(manifest))
        (tmp_path / "precious.whl").write_text("mine")
    before = files(tmp_path)
    with pytest.raises(UsageFailure):
        export(of_index(index), out)
    assert files(tmp_path) == before


def test_flat_has_all_wheels_in_one_directory(tmp_path: Path, index: Index, put: Any) -> None:
    put(PY310, "demo-1.0+lab-py3-none-any.whl")
    put(PY312, "other-1.0-cp312-none-any.whl")
    done = export(of_index(index), tmp_path / "out", flat=True)
    assert set(done.files) == set(files(done.root))
    assert all((done.root / path).parent == done.root for path in done.files)
    page = ProjectPage.from_html("", (done.root / "index.html").read_text(), base_url="http://x.example/")
    assert {one.filename for one in page.packages} == {row["filename"] for row in done.manifest["files"]}
    assert not any(one.has_metadata for one in page.packages)
    assert done.manifest["files"][0]["branches"] == ["ot2-py310"]
    assert export(of_index(index), tmp_path / "out", flat=True).changed is False
    put(PY312, "demo-1.0+lab-py3-none-any.whl", b"VALUE = 2\n")
    before = files(done.root)
    with pytest.raises(Conflict, match="two profiles"):
        export(of_index(index), tmp_path / "out", flat=True)
    assert files(done.root) == before
