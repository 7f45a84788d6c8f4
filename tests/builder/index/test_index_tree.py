"""The tree of an index: pages as the PEPs have them, changed whole or not at all."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from pypi_simple import IndexPage, ProjectPage
from wheel_factory import make_wheel

from builder.engine import open_engine
from builder.errors import UsageFailure
from builder.files import sha256_file
from builder.index.change import Arrival, Conflict
from builder.index.entry.admit import NotAdmitted, admit
from builder.index.layout import OWN, Branch, channel, channel_of
from builder.index.page import Page, from_json, to_json
from builder.index.tree import Index
from builder.profile import load

PY310, PY312 = Branch(profile="ot2-py310"), Branch(profile="ot2-py312")
DEV = Branch(profile="ot2-py310", channel="dev")


@pytest.fixture
def engine(tmp_path):
    return open_engine(tmp_path / "locks", store_root=tmp_path / "store")


@pytest.fixture
def arrival(tmp_path, engine):
    def make(filename: str = "demo-1.0-py3-none-any.whl", profile: str = "ot2-py310", **content) -> Arrival:
        where = tmp_path / "wheels" / str(len(list((tmp_path / "wheels").glob("*"))))
        where.mkdir(parents=True)
        return admit(make_wheel(where, filename, **content), load(profile), engine)

    return make


def put(index: Index, branch: Branch, *arrivals: Arrival) -> list[bool]:
    with index.change() as change:
        return [change.add(branch, one) for one in arrivals]


def files(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): sha256_file(path) for path in root.rglob("*") if path.is_file()}


def page(index: Index, branch: Branch, name: str) -> ProjectPage:
    """A project's HTML page as another program reads it."""
    path = index.root / branch.page(name) / "index.html"
    return ProjectPage.from_html(name, path.read_text(), base_url=path.as_uri())


def test_a_wheel_stands_on_both_pages_as_the_peps_have_it(tmp_path, arrival):
    index = Index.create(tmp_path / "index")
    one = arrival("Ruamel_Yaml.clib-1.0+lab-py3-none-any.whl", metadata="Requires-Python: >=3.8,<4\n")
    put(index, PY310, one)
    (package,) = page(index, PY310, "ruamel-yaml-clib").packages
    assert (package.filename, package.requires_python) == (one.path.name, ">=3.8,<4")
    assert package.digests == {"sha256": one.file.sha256}
    assert package.metadata_digests == {"sha256": one.file.metadata}
    html = (index.root / PY310.page("ruamel-yaml-clib") / "index.html").read_text()
    assert "data-dist-info-metadata" not in html
    assert "1.0%2Blab" in html
    data = json.loads((index.root / PY310.page("ruamel-yaml-clib") / "index.json").read_bytes())
    assert data["meta"] == {"api-version": "1.1"}
    assert data["versions"] == ["1.0+lab"]
    assert "dist-info-metadata" not in data["files"][0]
    (other,) = ProjectPage.from_json_data(data, base_url="http://index.example/a/b/c/").packages
    assert (other.size, other.digests, other.is_yanked) == (one.file.size, package.digests, False)
    root = (index.root / PY310.simple / "index.html").read_text()
    assert IndexPage.from_html(root).projects == ["ruamel-yaml-clib"]
    assert 'href="ruamel-yaml-clib/"' in root


@pytest.mark.parametrize("branch", [PY310, DEV, Branch(profile=OWN), Branch(profile=OWN, channel="dev")], ids=str)
def test_links_lead_to_the_wheel_and_its_metadata_wherever_the_tree_is_moved(tmp_path, arrival, branch):
    index = Index.create(tmp_path / "index")
    one = arrival("demo-1.0+lab.1-py3-none-any.whl")
    put(index, PY310, one)
    put(index, DEV, one)
    moved = tmp_path / "a stick" / "wheels"
    moved.parent.mkdir()
    shutil.move(index.root, moved)
    (package,) = page(Index.open(moved), branch, "demo").packages
    from urllib.request import url2pathname  # the standard library's own reading of file: URLs

    path = Path(url2pathname(package.url.removeprefix("file://").partition("#")[0])).resolve()
    assert path == moved / "ot2-py310" / "files" / one.path.name
    assert sha256_file(path) == one.file.sha256
    assert sha256_file(path.with_name(path.name + ".metadata")) == one.file.metadata


def test_a_profiles_directory_is_whole_in_itself(tmp_path, arrival):
    index = Index.create(tmp_path / "index")
    put(index, PY310, arrival())
    alone = tmp_path / "renamed"
    shutil.copytree(index.root / "ot2-py310", alone)
    html = alone / "simple" / "demo" / "index.html"
    (package,) = ProjectPage.from_html("demo", html.read_text(), base_url=html.as_uri()).packages
    assert Path(package.url.removeprefix("file://").partition("#")[0]).exists()


def test_absolute_links_begin_with_the_root_url_and_can_be_taken_back(tmp_path, arrival):
    index = Index.create(tmp_path / "index", "http://index.example/wheels")
    put(index, PY310, arrival())
    path = index.root / PY310.page("demo") / "index.html"
    assert 'href="http://index.example/wheels/ot2-py310/files/demo-1.0-py3-none-any.whl#sha256=' in path.read_text()
    put(Index.open(index.root), PY310, arrival("other-1.0-py3-none-any.whl"))
    assert "http://index.example/wheels/" in (index.root / PY310.page("other") / "index.html").read_text()
    Index.create(index.root, "")
    assert 'href="../../files/demo-1.0-py3-none-any.whl#sha256=' in path.read_text()


def test_the_same_again_changes_nothing(tmp_path, arrival):
    index = Index.create(tmp_path / "index")
    one = arrival()
    assert put(index, PY310, one) == [True]
    before = {path: path.stat().st_mtime_ns for path in index.root.rglob("*") if path.is_file()}
    again = replace(one, file=replace(one.file, uploaded="2030-01-01T00:00:00Z"))
    assert put(index, PY310, again) == [False]
    assert {path: path.stat().st_mtime_ns for path in index.root.rglob("*") if path.is_file()} == before


def test_other_bytes_under_the_same_name_are_refused_in_every_channel_but_not_in_another_profile(tmp_path, arrival):
    index = Index.create(tmp_path / "index")
    put(index, PY310, arrival())
    before = files(index.root)
    other = arrival(files={"demo/__init__.py": b"VALUE = 2\n"})
    for branch in (PY310, DEV):
        with pytest.raises(Conflict, match="other bytes") as caught:
            put(index, branch, arrival("second-1.0-py3-none-any.whl"), other)
        assert "revision" in caught.value.next
        assert files(index.root) == before
    assert put(index, PY312, other) == [True]


def test_a_channel_that_is_dropped_is_gone_from_all_profiles_and_lists(tmp_path, arrival):
    index = Index.create(tmp_path / "index")
    one, other = arrival(), arrival("demo-1.0-cp312-none-any.whl", "ot2-py312")
    put(index, PY310, one)
    put(index, PY312, other)
    before = files(index.root)
    put(index, DEV, one, arrival("later-1.0-py3-none-any.whl"))
    put(index, replace(DEV, profile="ot2-py312"), other)
    with index.change() as change:
        change.drop("dev")
        assert change.page(DEV, "demo").files == ()
    assert {name for name in files(index.root) if name not in before} == {
        f"ot2-py310/files/later-1.0-py3-none-any.whl{end}" for end in ("", ".metadata")
    }
    assert files(index.root).items() >= before.items()
    assert index.branches() == (PY310, PY312)
    assert index.channels(OWN) == ("prod",)


def test_a_channel_shares_the_file_and_its_day(tmp_path, arrival):
    index = Index.create(tmp_path / "index")
    one = arrival()
    put(index, DEV, one)
    put(index, PY310, replace(one, file=replace(one.file, uploaded="2030-01-01T00:00:00Z")))
    assert index.page(PY310, "demo") == index.page(DEV, "demo")
    assert index.branches() == (DEV, PY310)
    assert index.channels("ot2-py310") == ("prod", "dev")
    assert [path.name for path in (index.root / "ot2-py310" / "files").iterdir() if path.suffix == ".whl"] == [
        one.path.name
    ]


def test_own_projects_of_all_profiles_stand_in_the_own_branch_and_public_ones_do_not(tmp_path, arrival):
    index = Index.create(tmp_path / "index")
    public = arrival("numpy-1.26.4-py3-none-any.whl")
    native = [arrival(f"lab-1.0-cp{v}-none-any.whl", f"ot2-py{v}") for v in ("310", "312")]
    put(index, PY310, native[0], replace(public, file=replace(public.file, own=False)))
    put(index, PY312, native[1])
    own = Branch(profile=OWN)
    assert index.names(own) == ("lab",)
    assert {package.filename for package in page(index, own, "lab").packages} == {one.path.name for one in native}
    assert own not in index.branches()
    with index.change() as change:
        for branch in (PY310, PY312):
            change.put(branch, Page(name="lab"))
    assert index.names(own) == ()
    assert index.names(PY310) == ("numpy",)
    assert not (index.root / PY310.page("lab")).exists()


def test_a_project_called_simple_is_no_branch(tmp_path, arrival):
    index = Index.create(tmp_path / "index")
    put(index, PY310, arrival("simple-1.0-py3-none-any.whl"), arrival("files-1.0-py3-none-any.whl"))
    assert index.branches() == (PY310,)
    assert index.names(PY310) == ("files", "simple")


def test_what_fails_before_the_end_leaves_nothing(tmp_path, arrival):
    index = Index.create(tmp_path / "index")
    put(index, PY310, arrival())
    before = files(index.root)
    lost = arrival("lost-1.0-py3-none-any.whl")
    lost.path.unlink()
    with pytest.raises(Exception, match=r"lost-1\.0"):
        put(index, PY310, arrival("first-1.0-py3-none-any.whl"), lost)
    assert files(index.root) == before


def test_a_page_that_was_not_finished_is_mended_by_the_same_upload(tmp_path, arrival):
    index = Index.create(tmp_path / "index")
    one = arrival()
    put(index, PY310, one)
    whole = files(index.root)
    for lost in ("ot2-py310/simple/demo/index.html", "ot2-py310/simple/index.html", f"ot2-py310/files/{one.path.name}"):
        (index.root / lost).unlink()
    put(index, PY310, one)
    assert files(index.root) == whole


@pytest.mark.parametrize("end", ["", ".metadata"])
def test_a_file_that_was_damaged_in_the_index_is_mended_by_the_same_wheel(tmp_path, arrival, end):
    index = Index.create(tmp_path / "index")
    one = arrival()
    put(index, PY310, one)
    whole = files(index.root)
    place = index.wheel("ot2-py310", f"{one.path.name}{end}")
    place.write_bytes(bytes(place.stat().st_size))
    assert put(index, PY310, one) == [False]
    assert files(index.root) == whole


def test_what_fails_leaves_no_channel_and_no_project_without_a_page(tmp_path, arrival):
    index = Index.create(tmp_path / "index")
    put(index, PY310, arrival())
    before = set(index.root.rglob("*"))
    lost = arrival("lost-1.0-py3-none-any.whl")
    lost.path.unlink()
    with pytest.raises(Exception, match=r"lost-1\.0"):
        put(index, replace(DEV, profile="ot2-py312"), lost)
    assert set(index.root.rglob("*")) == before
    assert index.branches() == (PY310,)


def test_cut_off_at_any_rename_no_private_project_is_on_a_page_and_not_in_the_own_branch(
    tmp_path, arrival, monkeypatch
):
    """Else its name would be looked up elsewhere."""
    one, renames, allowed, real = arrival(), 0, 0, Path.replace

    def counted(path: Path, target: Path) -> Path:
        nonlocal renames
        renames += 1
        if renames > allowed:
            raise KeyboardInterrupt
        return real(path, target)

    while True:
        index = Index.create(tmp_path / f"index-{allowed}")
        with monkeypatch.context() as cut:
            cut.setattr(Path, "replace", counted)
            renames = 0
            try:
                put(index, PY310, one)
            except KeyboardInterrupt:
                pass
            else:
                break
        assert set(index.names(PY310)) <= set(index.names(Branch(profile=OWN))), allowed
        allowed += 1
    assert allowed > 6


def test_cut_off_while_pages_go_a_private_project_leaves_the_own_branch_last(tmp_path, arrival, monkeypatch):
    index = Index.create(tmp_path / "index")
    put(index, PY310, arrival())
    real, gone = shutil.rmtree, []

    def cut(path: Path, **options: bool) -> None:
        if gone:
            raise KeyboardInterrupt
        gone.append(path)
        real(path, **options)

    monkeypatch.setattr(shutil, "rmtree", cut)
    with pytest.raises(KeyboardInterrupt), index.change() as change:
        change.put(PY310, Page(name="demo"))
    assert (index.names(PY310), index.names(Branch(profile=OWN))) == ((), ("demo",))


def test_a_directory_that_is_no_index_is_left_alone(tmp_path):
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(UsageFailure, match="no index"):
        Index.create(tmp_path)
    with pytest.raises(UsageFailure, match="there is no index"):
        Index.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


@pytest.mark.parametrize("yanked", [None, "", 'bad <b>"build"</b>'])
def test_json_comes_back_as_it_was(arrival, yanked):
    page = Page(name="demo", files=(replace(arrival().file, yanked=yanked),))
    assert from_json(to_json(page, lambda file: file.filename)) == page


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"name": "x", "files": [{}]}', b"\xff"])
def test_what_is_no_page_is_refused(data):
    with pytest.raises(ValueError, match=r"."):
        from_json(data)


def test_versions_are_ordered_as_versions(tmp_path, arrival):
    index = Index.create(tmp_path / "index")
    put(index, PY310, *(arrival(f"demo-{v}-py3-none-any.whl") for v in ("1.10", "1.9", "1.9-2", "1.9-10")))
    names = [file.filename.split("-py3")[0] for file in index.page(PY310, canonicalize_name("Demo")).files]
    assert names == ["demo-1.9", "demo-1.9-2", "demo-1.9-10", "demo-1.10"]


def test_a_wheel_enters_only_a_branch_that_it_fits_and_where_the_audit_accepts_it(tmp_path, engine):
    for filename in ("demo-1.0-cp312-cp312-linux_armv7l.whl", "demo-1.0-cp310-cp310-manylinux_2_28_armv7l.whl"):
        with pytest.raises(NotAdmitted, match="does not fit ot2-py310"):
            admit(make_wheel(tmp_path, filename), load("ot2-py310"), engine)
    broken = make_wheel(tmp_path, "demo-1.0-cp310-cp310-linux_armv7l.whl", {"demo/_x.so": b"\x7fELF not really"})
    with pytest.raises(NotAdmitted, match="refuses") as caught:
        admit(broken, load("ot2-py310"), engine)
    assert caught.value.details


@pytest.mark.parametrize(
    "filename", ["démo-1.0-py3-none-any.whl", "_x-1.0-py3-none-any.whl", "x-1.0-1é-py3-none-any.whl"]
)
def test_a_wheel_whose_name_can_stand_in_no_address_is_not_taken(tmp_path, engine, filename):
    with pytest.raises(NotAdmitted, match="no address"):
        admit(make_wheel(tmp_path, filename), load("ot2-py310"), engine)


def test_channels_have_names_and_git_branches_become_them():
    assert channel("dev") == "dev"
    for name in ("", "simple", "own", "../x", "A", "files", "a/b", "ot2-py310", "host"):
        with pytest.raises(UsageFailure):
            channel(name)
    assert channel_of("main") == "main"
    assert channel_of("feature/x") != channel_of("feature-x") == "feature-x"
    for name in ("feature/x", "prod", "simple", "Ünïcode", "-", "a" * 200, "ot2-py312", "host"):
        assert channel(channel_of(name)) == channel_of(name) != "prod"


@pytest.mark.parametrize(
    ("how", "source", "own"),
    [("public", {}, False), ("repaired", {}, False), ("built", {"source": {"kind": "index sdist"}}, False)]
    + [("built", {"source": {"kind": kind}}, True) for kind in ("local directory", "git commit")]
    + [("local", {}, True), ("index", {}, True)],
)
def test_what_was_built_from_sources_of_the_lab_is_its_own(tmp_path, engine, how, source, own):
    wheel = make_wheel(tmp_path, "demo-1.0-py3-none-any.whl")
    engine.store.add(wheel, how=how, facts=source)
    assert admit(wheel, load("ot2-py310"), engine).file.own is own


def test_what_the_store_does_not_know_is_the_labs_own(tmp_path, engine):
    assert admit(make_wheel(tmp_path, "demo-1.0-py3-none-any.whl"), load("ot2-py310"), engine).file.own


def test_the_same_bytes_under_a_wrong_name_are_judged_by_their_name(tmp_path, engine):
    right = make_wheel(tmp_path, "demo-1.0-py3-none-any.whl")
    wrong = tmp_path / "demo-4.0-py3-none-any.whl"
    shutil.copyfile(right, wrong)
    for _ in range(2):
        with pytest.raises(NotAdmitted, match="refuses"):
            admit(wrong, load("ot2-py310"), engine)
        assert admit(right, load("ot2-py310"), engine).name == "demo"
