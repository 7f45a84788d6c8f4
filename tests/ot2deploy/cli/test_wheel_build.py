"""`ot2deploy wheel build` as people call it: real builds of small projects that need neither network nor compiler."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from quick_project import quick_files, quick_sdist

from builder.index.layout import Branch
from builder.index.tree import Index

ROOT = Path(__file__).resolve().parents[3]
Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> Path:
    (tmp_path / "environments").mkdir()
    return tmp_path


def logs() -> list[Path]:
    return sorted(Path(os.environ["OT2DEPLOY_CACHE"]).glob("logs/build/*.log"))


def build(run_cli: Run, *words: str) -> Any:
    return run_cli("wheel", "build", "--offline", *words)


def test_a_wheel_is_made_once(run_cli: Run, project: Path) -> None:
    quick_sdist(project, "good")
    first = build(run_cli, "./good-1.0.tar.gz").good()
    assert (project / "dist" / "ot2-py310" / "good-1.0-py3-none-any.whl").is_file()
    assert "1 wheel in" in first.out
    assert "1 new" in first.out
    assert "audited" in first.out
    second = build(run_cli, "./good-1.0.tar.gz").good()
    assert "no change" in second.out
    assert len(logs()) == 1  # nothing was built again
    assert "good 1.0: build, for ot2-py310" in first.err
    assert "compiling" not in first.err  # one line for each stage


def test_the_result_as_json(run_cli: Run, project: Path) -> None:
    quick_sdist(project, "good")
    found = build(run_cli, "./good-1.0.tar.gz", "--json", "--dist-tree-root", "out").good().document["result"]
    (wheel,) = found["wheels"]
    assert wheel["path"] == str(project / "out" / "ot2-py310" / "good-1.0-py3-none-any.whl")
    assert (wheel["how"], wheel["state"], wheel["changed"], len(wheel["sha256"])) == ("local", "audited", True, 64)
    assert (found["failed"], found["changed"]) == ([], True)


def test_a_directory_that_is_absolute_is_really_there(run_cli: Run, project: Path, tmp_path_factory: Any) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    quick_sdist(project, "good")
    build(run_cli, "./good-1.0.tar.gz", "--dist-tree-root", str(elsewhere)).good()
    assert list(elsewhere.rglob("*.whl"))


def test_both_puts_into_an_index_what_was_made_and_nothing_else(run_cli: Run, project: Path) -> None:
    quick_sdist(project, "good")
    quick_sdist(project, "stale")
    build(run_cli, "./stale-1.0.tar.gz").good()
    words = ("./good-1.0.tar.gz", "--build-type", "both", "--index-tree-root", "tree", "--profile", "ot2-py310")
    ran = build(run_cli, *words).good()
    assert "pip install NAME --index-url" in ran.out
    index = Index.open(project / "tree")
    assert index.names(Branch(profile="ot2-py310")) == ("good",)
    found = build(run_cli, *words, "--json").good().document["result"]["index"]
    assert (found["changed"], found["wheels"][0]["filename"]) == (False, "good-1.0-py3-none-any.whl")
    root_url = ("--index-root-url", "http://index.example/w")
    ran = build(run_cli, "--build-type", "index-only", "--index-tree-root", "tree", *root_url).good()
    assert index.names(Branch(profile="ot2-py310")) == ("good", "stale")
    page = project / "tree" / "ot2-py310" / "simple" / "good" / "index.html"
    assert 'href="http://index.example/w/ot2-py310/files/good-1.0-py3-none-any.whl#sha256=' in page.read_text()


def test_one_bad_package_leaves_the_good_one(run_cli: Run, project: Path) -> None:
    quick_sdist(project, "good")
    quick_sdist(project, "bad", before="raise ValueError('no such thing')")
    ran = build(run_cli, "./good-1.0.tar.gz", "./bad-1.0.tar.gz")
    assert ran.status == 1
    assert "1 wheel in" in ran.out
    assert "bad 1.0: no wheel for ot2-py310" in ran.out
    assert "ValueError: no such thing" in ran.out
    assert "Mend the project, or say what its build needs in package/bad/default/build.py" in ran.out
    (log,) = (path for path in logs() if path.name.startswith("bad"))
    assert f"Log: {log}" in ran.out
    assert "Traceback" not in ran.out + ran.err


def test_fail_fast_leaves_the_rest(run_cli: Run, project: Path) -> None:
    for name in ("bad1", "bad2"):
        quick_sdist(project, name, before="raise ValueError('no such thing')")
    ran = build(run_cli, "./bad1-1.0.tar.gz", "./bad2-1.0.tar.gz", "--fail-fast", "-j", "1", "--json")
    found = ran.document["result"]
    assert ran.status == 1
    assert (len(found["failed"]), len(found["not_tried"])) == (1, 1)


def test_what_tools_print_goes_to_the_file_and_with_v_to_the_terminal(run_cli: Run, project: Path) -> None:
    quick_sdist(project, "good")
    ran = build(run_cli, "./good-1.0.tar.gz", "-v", "-o", "log.txt").good()
    assert "good 1.0: compiling good" in ran.err
    assert "good 1.0: compiling good" in (project / "log.txt").read_text().splitlines()
    quick_sdist(project, "other")
    ran = build(run_cli, "./other-1.0.tar.gz", "-o", "-").good()
    assert "other 1.0: compiling other" in ran.out
    assert "compiling" not in ran.err


def test_v_is_for_every_command_that_builds(run_cli: Run, project: Path) -> None:
    quick_sdist(project, "good")
    words = ("bundle", "./good-1.0.tar.gz", "--profile", "ot2-py310", "--offline", "-o", "good.ot2bundle")
    assert "good 1.0: compiling good" in run_cli(*words, "-v").good().err


def test_a_step_that_takes_too_long_is_ended(run_cli: Run, project: Path) -> None:
    quick_sdist(project, "slow", before="import time\ntime.sleep(600)")
    ran = build(run_cli, "./slow-1.0.tar.gz", "--timeout", "4")
    assert ran.status == 1
    assert "did not end within 4 s" in ran.out


def test_ctrl_c_leaves_no_child_and_no_file(project: Path, tmp_path_factory: Any) -> None:
    """The back end's child holds a FIFO open: who reads it sees its end when, and only when, all of them are gone."""
    fifo = project / "alive"
    os.mkfifo(fifo)
    child = "import time; time.sleep(600)"
    before = (
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}], stdout=open({str(fifo)!r}, 'w'))"
    )
    quick_sdist(project, "slow", before=before)
    argv = [sys.executable, "-m", "ot2deploy", "wheel", "build", "--offline", "./slow-1.0.tar.gz"]
    program = subprocess.Popen(
        argv, cwd=project, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True
    )
    with fifo.open("rb") as alive:  # opened only when the child has opened its end
        program.send_signal(signal.SIGINT)
        said = program.communicate(timeout=120)[1]
        assert alive.read() == b""
    assert program.returncode == 130
    assert "interrupted" in said.splitlines()
    assert not list(project.rglob("*.whl"))
    assert not [path for path in Path(os.environ["OT2DEPLOY_CACHE"]).rglob("build-*") if path.is_dir()]


def test_wheels_that_cannot_be_written_are_told_with_their_directory(run_cli: Run, project: Path) -> None:
    quick_sdist(project, "good")
    (project / "dist").mkdir()
    (project / "dist" / "ot2-py310").write_text("a file where the wheels should go")
    ran = build(run_cli, "./good-1.0.tar.gz")
    assert ran.status == 1
    assert "or use another directory than" in ran.out
    assert "OT2DEPLOY_CACHE" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no package is named"),
        (["a==1", "--env", "lab"], "exclude each other"),
        (["--env", "nothing"], "no environment is named nothing\n  Environments: prefect."),
        (["--env", "Prefct"], "no environment is named Prefct\n  Did you mean prefect?"),
        (["--env", "numpy"], "no environment is named numpy"),
        (
            ["a==1", "--as-of", "2025-13-01"],
            "'2025-13-01' is no date, YYYY-MM-DD\n  Write it like this: --as-of 2025-04-20",
        ),
        (["a==1", "--as-of", "20250420"], "'20250420' is no date, YYYY-MM-DD"),
        (["a==1", "--profile", "ot2-py39"], "ot2-py39"),
        (["a==1", "--build-type", "index-only"], "takes what is in dist/"),
        (["--build-type", "index-only"], "dist does not exist"),
        (["--build-type", "index-only", "--explain"], "--explain is about making wheels"),
        (["--build-type", "index-only", "--all", "--test"], "--all, --test are about making wheels"),
        (["a==1", "--index-root-url", "http://index.example/"], "none is made"),
        (["a==1", "--profile", "host", "--test"], "not for host"),
        (["a==1", "-o", "-", "--json"], "both want standard output"),
    ],
)
def test_what_is_wrong_ends_with_2(run_cli: Run, words: list[str], said: str) -> None:
    ran = build(run_cli, *words)
    assert ran.status == 2
    assert said in ran.out + ran.err


def test_explain_says_what_would_be_done_and_does_nothing(run_cli: Run, project: Path) -> None:
    quick_sdist(project, "good")
    ran = build(run_cli, "./good-1.0.tar.gz", "--explain").good()
    assert "build as its source says" in ran.out
    assert not logs()
    assert not (project / "dist").exists()


def test_two_versions_of_one_project(run_cli: Run, project: Path) -> None:
    quick_sdist(project, "good")
    quick_sdist(project, "good", "2.0")
    ran = build(run_cli, "./good-1.0.tar.gz", "./good-2.0.tar.gz").good()
    assert len(list((project / "dist").rglob("*.whl"))) == 2
    assert "each is resolved alone" in ran.err


def unlisted(project: Path) -> None:
    """Writes the recipe `ourlib`, a project that no index lists, with its source."""
    recipe = project / "package" / "ourlib" / "1.0"
    (recipe / "source").mkdir(parents=True)
    for name, text in quick_files("ourlib", "1.0").items():
        (recipe / "source" / name).write_text(text)
    (recipe / "build.py").write_text(
        "from builder import package_build\n"
        "package_build.build_package(source=package_build.local_source('source'), native=[])\n"
    )


def test_a_recipe_with_a_source_needs_no_index(run_cli: Run, project: Path) -> None:
    unlisted(project)
    ran = build(run_cli, "ourlib").good()
    assert (project / "dist" / "ot2-py310" / "ourlib-1.0-py3-none-any.whl").is_file()
    assert "is on no index at hand" in ran.err
    assert "no change" in build(run_cli, "package/ourlib/1.0").good().out


def test_a_wrong_recipe_ends_with_2_and_its_line(run_cli: Run, project: Path) -> None:
    quick_sdist(project, "good")
    recipe = project / "package" / "good" / "default"
    recipe.mkdir(parents=True)
    (recipe / "build.py").write_text("from builder import package_build\npackage_build.build_package(flags=1)\n")
    ran = build(run_cli, "./good-1.0.tar.gz")
    assert ran.status == 2
    assert "package/good/default/build.py:2" in ran.out


def test_builds_run_side_by_side(run_cli: Run, project: Path) -> None:
    """Each one's back end waits until the other one's runs."""
    meet = "import time\nfrom pathlib import Path\nPath({own!r}).touch()\nend = time.monotonic() + 100\n"
    meet += "while not Path({other!r}).exists():\n    time.sleep(0.02)\n    assert time.monotonic() < end"
    for own, other in (("one", "two"), ("two", "one")):
        words = {"own": str(project / f"runs-{own}"), "other": str(project / f"runs-{other}")}
        quick_sdist(project, own, before=meet.format(**words))
    build(run_cli, "./one-1.0.tar.gz", "./two-1.0.tar.gz", "-j", "2").good()


def test_offline_what_was_never_had_is_said_in_one_error(run_cli: Run) -> None:
    ran = build(run_cli, "ujson==5.10.0")
    assert ran.status == 1
    assert "--offline" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.emulated
@pytest.mark.slow
def test_what_is_made_can_be_run(run_cli: Run, project: Path, shared_cache: Path) -> None:
    quick_sdist(project, "good")
    ran = run_cli("wheel", "build", "./good-1.0.tar.gz", "--test", "--profile", "debian-12-armhf", "--json").good()
    found = ran.document["result"]
    assert [wheel["state"] for wheel in found["wheels"]] == ["emulated"]
    assert [(row["name"], row["state"]) for row in found["qualified"][0]["checks"] if row["kind"] == "import"] == [
        ("import good", "ok")
    ]


@pytest.mark.emulated
@pytest.mark.slow
def test_what_no_index_lists_is_run_as_well(run_cli: Run, project: Path, shared_cache: Path) -> None:
    unlisted(project)
    words = ("wheel", "build", "ourlib", "--test", "--json", "--profile")
    found = run_cli(*words, "debian-12-armhf").good().document["result"]
    assert [wheel["state"] for wheel in found["wheels"]] == ["emulated"]
    (proof,) = run_cli(*words, "ot2-py310").good().document["result"]["qualified"]
    assert proof["state"].startswith("audited, not emulated")
    assert "twin of ot2-py310" in proof["twin"]["title"]


@pytest.mark.network
@pytest.mark.slow
def test_c_extensions_of_the_index_for_two_profiles(run_cli: Run, project: Path, shared_cache: Path) -> None:
    words = (
        "wheel",
        "build",
        "ujson==5.10.0",
        "--as-of",
        "2025-04-20",
        "--profile",
        "ot2-py310",
        "--profile",
        "ot2-py312",
    )
    first = run_cli(*words).good()
    names = {path.parent.name: path.name for path in (project / "dist").rglob("*.whl")}
    assert names["ot2-py310"].startswith("ujson-5.10.0-cp310-cp310-")
    assert names["ot2-py312"].startswith("ujson-5.10.0-cp312-cp312-")
    assert first.out.count("audited") == 2
    before = list(shared_cache.glob("logs/build/ujson-*"))
    again = run_cli(*words).good()
    assert "no change" in again.out
    assert list(shared_cache.glob("logs/build/ujson-*")) == before  # no compiler call: each leaves a log


@pytest.mark.network
def test_pure_python_is_explained(run_cli: Run, shared_cache: Path) -> None:
    ran = run_cli("wheel", "build", "prefect==3.3.4", "--as-of", "2025-04-20", "--explain").good()
    assert "pure Python: take py3-none-any from the public index, no build needed" in ran.out


def test_all_that_the_project_has_is_made_at_once(run_cli: Run, project: Path) -> None:
    for name in ("first", "second"):
        quick_sdist(project, name)
        environment = project / "environments" / name / "environment.yaml"
        environment.parent.mkdir()
        environment.write_text(f"requirements:\n  - ../../{name}-1.0.tar.gz\n")
    refusing = project / "packages" / "gone" / "1.0" / "build.py"
    refusing.parent.mkdir(parents=True)
    refusing.write_text(
        "from builder import package_build\n"
        'package_build.refuse_package(reason="no source is published", instead="another")\n'
    )
    found = build(run_cli, "--all", "--json").good().document["result"]
    assert {wheel["name"] for wheel in found["wheels"]} == {"first", "second"}
    assert found["left_out"] == ["gone==1.0 is left out: no source is published"]
    assert "no source is published" in build(run_cli, "--all").good().out
    assert "exclude each other" in build(run_cli, "--all", "first").err
    assert "2 wheels in" in build(run_cli, "--all", "--as-of", "2025-04-20").good().out


def test_a_project_that_has_nothing_is_told_so(run_cli: Run, project: Path) -> None:
    ran = build(run_cli, "--all")
    assert ran.status == 2
    assert "no recipe and no environment" in ran.err
