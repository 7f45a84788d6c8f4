"""`ot2deploy index build` as people call it: wheels of directories, bundles and files, into the branches they fit."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pypi_simple import ProjectPage
from wheel_factory import make_wheel

from builder.index.journal import Journal
from builder.index.layout import Branch
from builder.index.tree import Index

Run = Callable[..., Any]
PY310 = Branch(profile="ot2-py310")


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> Path:
    (tmp_path / "environments").mkdir()
    return tmp_path


@pytest.fixture
def build(run_cli: Run) -> Run:
    def run(*words: str | Path, status: int = 0) -> Any:
        ran = run_cli("index", "build", *words, "--json")
        assert ran.status == status, ran.out + ran.err
        return ran.document["result"] or ran.document["error"]

    return run


def wheel(
    directory: Path, filename: str = "demo-1.0-py3-none-any.whl", text: bytes = b"VALUE = 1\n", **more: Any
) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return make_wheel(directory, filename, {"demo/__init__.py": text}, **more)


def filenames(root: Path, branch: Branch = PY310) -> list[str]:
    return [file.filename for page in Index.open(root).pages(branch) for file in page.files]


def branches(found: Any) -> dict[str, int]:
    return {row["branch"]: row["new"] for row in found["branches"]}


def test_dist_enters_the_branches_whose_names_its_directories_have(build: Run, run_cli: Run, project: Path) -> None:
    wheel(project / "dist" / "ot2-py310")
    wheel(project / "dist" / "ot2-py312", "demo-1.0-cp312-none-any.whl")
    found = build()
    assert branches(found) == {"ot2-py310": 1, "ot2-py312": 1}
    assert filenames(project / "index") == ["demo-1.0-py3-none-any.whl"]
    again = run_cli("index", "build").good()
    assert "no change" in again.out
    assert "pip install NAME --index-url http://HOST:8080/ot2-py310/simple/ --trusted-host HOST:8080" in again.out
    acts = Journal(project / ".ot2deploy" / "index" / "journal.jsonl").lines()
    assert sorted((act.op, *act.branches) for act in acts) == [("upload", "ot2-py310"), ("upload", "ot2-py312")]


def test_a_flat_directory_enters_what_it_fits_or_what_is_named(build: Run, project: Path) -> None:
    for filename in ("pure-1.0-py3-none-any.whl", "native-1.0-cp312-none-any.whl"):
        wheel(project / "flat", filename)
    everywhere = {"debian-12-armhf": 1, "ot2-py310": 1, "ot2-py312": 2}
    assert branches(build("flat", "--index", "all")) == everywhere
    found = build("flat", "--profile", "ot2-py310", "--index", "one", status=1)
    assert branches(found) == {"ot2-py310": 1}
    (refused,) = found["refused"]
    assert (refused["filename"], refused["profile"]) == ("native-1.0-cp312-none-any.whl", "ot2-py310")
    assert "does not fit ot2-py310" in refused["error"]["what"]
    (project / "flat" / "pure-1.0-py3-none-any.whl").unlink()
    wheel(project / "flat", "native-1.0-cp39-none-any.whl")
    (refused,) = build("flat", "--index", "all", status=1)["refused"]
    assert refused["error"]["what"] == "fits none of debian-12-armhf, ot2-py310, ot2-py312"
    assert refused["error"]["why"] == "It is for cp39-none-any."


def test_the_command_to_install_is_that_of_most_robots(run_cli: Run, project: Path) -> None:
    wheel(project / "flat", "pure-1.0-py3-none-any.whl")
    for words in (("build", "flat", "--channel", "dev"), ("export", "first")):
        assert "/ot2-py310/dev/simple/" in run_cli("index", *words).good().out
    for words in (("build", "flat"), ("export", "second")):
        assert "/ot2-py310/simple/" in run_cli("index", *words).good().out


def test_a_refused_wheel_is_told_and_the_others_go_in(build: Run, run_cli: Run, project: Path) -> None:
    good = project / "dist" / "ot2-py310"
    wheel(good)
    wheel(good, "late-1.0-cp310-cp310-manylinux_2_28_armv7l.whl")
    (good / "text-1.0-py3-none-any.whl").write_text("a placeholder\n")
    (good / "no wheel at all.whl").write_text("")
    found = build(status=1)
    assert filenames(project / "index") == ["demo-1.0-py3-none-any.whl"]
    assert len(found["refused"]) == 3
    said = run_cli("index", "build").out
    assert "3 refused: no change" in said
    assert "a placeholder" in said
    assert "its name is not a wheel's" in said


def test_other_bytes_under_one_name_are_refused_and_recorded(build: Run, run_cli: Run, project: Path) -> None:
    wheel(project / "dist" / "ot2-py310")
    build()
    before = {path: path.read_bytes() for path in (project / "index").rglob("*.*")}
    wheel(project / "dist" / "ot2-py310", text=b"VALUE = 2\n")
    (refused,) = build("--replace", status=1)["refused"]
    assert refused["error"]["code"] == "index-conflict"
    assert "revision" in refused["error"]["next"]
    assert {path: path.read_bytes() for path in before} == before
    assert [act.op for act in Journal(project / ".ot2deploy" / "index" / "journal.jsonl").lines()] == [
        "upload",
        "refused",
    ]
    told = run_cli("index", "log").good().out
    assert re.search(r"sha256 [0-9a-f]{12}\.\.\.,", told), told
    assert not re.search(r"[0-9a-f]{64}", told)


def test_what_cannot_be_recorded_is_not_done(build: Run, project: Path) -> None:
    wheel(project / "dist" / "ot2-py310")
    (project / ".ot2deploy" / "index" / "journal.jsonl").mkdir(parents=True)
    assert build(status=1)["code"] == "disk"
    assert filenames(project / "index") == []


def test_replace_takes_stale_wheels_off_the_pages_unless_something_was_refused(build: Run, project: Path) -> None:
    old = wheel(project / "dist" / "ot2-py310", "demo-0.9-py3-none-any.whl")
    wheel(project / "dist" / "ot2-py310", "gone-1.0-py3-none-any.whl")
    build()
    build("--channel", "dev")
    shutil.rmtree(project / "dist")
    wheel(project / "dist" / "ot2-py310")
    bad = wheel(project / "dist" / "ot2-py310", "late-1.0-cp312-none-any.whl")
    assert build("--replace", status=1)["removed"] == []
    assert filenames(project / "index") == [old.name, "demo-1.0-py3-none-any.whl", "gone-1.0-py3-none-any.whl"]
    bad.unlink()
    removed = build("--replace")["removed"]
    assert sorted(one["filename"] for one in removed) == [old.name, "gone-1.0-py3-none-any.whl"]
    assert filenames(project / "index") == ["demo-1.0-py3-none-any.whl"]
    assert len(filenames(project / "index", Branch(profile="ot2-py310", channel="dev"))) == 2
    assert build("--replace")["changed"] is False


def test_channels_and_git_branches(build: Run, project: Path) -> None:
    wheel(project / "dist" / "ot2-py310")
    assert branches(build("--channel", "dev")) == {"ot2-py310/dev": 1}
    (row,) = build("--git-branch", "feature/x")["branches"]
    assert row["branch"].startswith("ot2-py310/feature-x-")
    assert build("--channel", "dev", "--git-branch", "x", status=2)["code"] == "usage"


def test_a_bundle_file_enters_the_branches_of_its_profiles(build: Run, run_cli: Run, project: Path) -> None:
    path = wheel(project / "made")
    run_cli("bundle", path, "--profile", "ot2-py310", "--profile", "host", "-o", "demo.ot2bundle", "--offline").good()
    found = build("demo.ot2bundle")
    assert len(found["branches"]) == 2
    assert branches(found)["ot2-py310"] == 1
    assert branches(build("demo.ot2bundle", "--profile", "ot2-py310", "--index", "other")) == {"ot2-py310": 1}


def test_an_index_is_input_too(build: Run, project: Path) -> None:
    wheel(project / "dist" / "ot2-py310")
    build()
    assert branches(build("index", "--index", "copy")) == {"ot2-py310": 1}


def test_links_are_relative_unless_a_root_is_given(build: Run, project: Path) -> None:
    wheel(project / "dist" / "ot2-py310")
    build("--index-root-url", "http://index.example/wheels")
    page = project / "index" / "ot2-py310" / "simple" / "demo" / "index.html"
    (package,) = ProjectPage.from_html("demo", page.read_text()).packages
    assert package.url.startswith("http://index.example/wheels/ot2-py310/files/demo-1.0-py3-none-any.whl")
    assert build()["changed"] is False
    assert json.loads((project / "index" / "index.json").read_bytes())["root_url"] == "http://index.example/wheels/"


def test_whose_projects_they_are_can_be_said_and_corrected(build: Run, project: Path) -> None:
    wheel(project / "dist" / "ot2-py310")
    assert build()["wheels"][0]["own"] is True
    found = build("--public")
    assert (found["wheels"][0]["own"], found["changed"]) == (False, True)
    assert Index.open(project / "index").names(Branch(profile="own")) == ()
    assert build("--public")["changed"] is False


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "dist does not exist"),
        (("nothing.whl",), "nothing.whl does not exist"),
        (("empty",), "holds no wheel"),
        (("x.txt",), "neither a directory"),
        (("empty", "--profile", "ot2-py39"), "no profile is named ot2-py39"),
        (("empty", "--channel", "A"), "no name of a channel"),
        (("good", "--index", "empty/.."), "holds something that is no index"),
        (("good", "--index-root-url", "localhost"), "no root URL"),
        (("good", "--index-root-url", "http://me:secret@index.example/"), "holds a user name"),
    ],
)
def test_what_is_wrong_ends_with_2(run_cli: Run, project: Path, words: tuple[str, ...], said: str) -> None:
    (project / "empty").mkdir()
    wheel(project / "good")
    (project / "x.txt").write_text("")
    ran = run_cli("index", "build", *words)
    assert ran.status == 2
    assert said in ran.err
    assert "secret" not in ran.err
    assert not (project / "index").exists()


def test_a_damaged_file_of_the_index_is_mended_by_the_same_command(build: Run, project: Path) -> None:
    path = wheel(project / "dist" / "ot2-py310")
    build()
    files = project / "index" / "ot2-py310" / "files"
    whole = {one: one.read_bytes() for one in (project / "index").rglob("*.*") if one.is_file()}
    (files / f"{path.name}.metadata").unlink()
    (files / path.name).write_bytes(b"cut")
    (project / "index" / "ot2-py310" / "simple" / "index.html").unlink()
    build()
    assert {one: one.read_bytes() for one in whole} == whole


def test_what_is_in_an_index_an_export_or_an_environment_is_left_there(build: Run, run_cli: Run, project: Path) -> None:
    wheel(project / "new" / "deep", "fresh-1.0-py3-none-any.whl")
    build(wheel(project / "tried"), "--channel", "dev", "--index", "new/index")
    run_cli("index", "export", "new/stick", "--index", "new/index").good()
    for name in ("venv", ".venv"):
        wheel(project / "new" / name / "lib", "hidden-1.0-py3-none-any.whl")
        (project / "new" / name / "pyvenv.cfg").write_text("home = /usr/bin\n")
    found = build("new")
    assert {row["filename"] for row in found["wheels"]} == {"fresh-1.0-py3-none-any.whl"}


def test_a_file_that_is_missing_or_damaged_is_listed_as_that_and_mended(
    build: Run, run_cli: Run, project: Path
) -> None:
    made = wheel(project / "dist" / "ot2-py310")
    build()
    kept = project / "index" / "ot2-py310" / "files" / made.name
    for damage in (kept.unlink, lambda: kept.write_bytes(b"")):
        damage()
        for words in ([], ["demo"]):
            told = run_cli("index", "list", *words).good().out
            assert f"{made.name} is missing or damaged" in " ".join(told.split())
        assert run_cli("index", "list", "--json").good().document["result"]["branches"][0]["lacking"] == [made.name]
        assert ": 0 new, 1 mended" in run_cli("index", "build").good().out
        assert kept.read_bytes() == made.read_bytes()
        assert "missing" not in run_cli("index", "list", "demo").good().out
    assert "no change" in run_cli("index", "build").good().out
