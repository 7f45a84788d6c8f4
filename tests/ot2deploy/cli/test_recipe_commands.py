"""`ot2deploy recipe`: read, advised, written and pinned, without a process or a request where none is needed."""

from __future__ import annotations

import inspect
import subprocess
from pathlib import Path

import pytest
from recipe_factory import PANDAS

from builder.files import sha256_file
from builder.package_build import build_package
from builder.recipe import load
from builder.source import IndexSdist

FORK = """\
from builder import package_build

package_build.build_package(
    package_build.github_source(org='pandas-dev', repo='pandas', tag='v1.5.0'),
    ['build_ext', 'bdist_wheel'],
    ['numpy', 'Cython>=0.29.32,<3', 'setuptools>=51.0.0'],
)
"""
PREFECT = """\
from builder import package_build
package_build.build_package(
    source=package_build.github_source(org='PrefectHQ', repo='prefect', tag='3.3.4'),
    setup_py_commands=['bdist_wheel'],
    build_dependencies=[]
)
"""


@pytest.fixture
def write(tmp_path: Path):
    def one(where: str, text: str) -> Path:
        file = tmp_path / where / "build.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return one


@pytest.fixture
def no_process(monkeypatch) -> None:
    def refuse(*words: object, **options: object) -> None:
        pytest.fail(f"starts {words}")

    monkeypatch.setattr(subprocess, "Popen", refuse)


@pytest.mark.parametrize("text", [PANDAS, FORK])
def test_upstreams_file_is_told_as_it_is_with_advice(run_cli, write, no_process, text: str) -> None:
    file = write("elsewhere/packages/pandas/1.5.0", text)
    out = run_cli("recipe", "check", file).good().out
    for words in ("pandas 1.5.0", "pandas-dev", "v1.5.0", "build_ext bdist_wheel", "numpy Cython", "has no sha256"):
        assert words in out
    (told,) = run_cli("recipe", "check", file, "--json").good().document["result"]["good"]
    assert (told["org"], told["repo"], told["tag"]) == ("pandas-dev", "pandas", "v1.5.0")
    assert told["setup_py_commands"] == ["build_ext", "bdist_wheel"]
    assert told["headers_of"] == ["numpy"]
    # All that a recipe can say is shown; what it says for a profile has a line of its own.
    assert set(inspect.signature(build_package).parameters) - set(told) == {"profiles"}
    limited = "no limit for numpy, Cython:" if text is PANDAS else "no limit for numpy, setuptools>=51.0.0:"
    assert any(line.startswith(limited) for line in told["advice"])
    assert file.read_text() == text


def test_the_forks_prefect_is_told_that_its_own_back_end_is_used(run_cli, write, no_process) -> None:
    (told,) = run_cli("recipe", "check", write("packages/prefect/3.3.4", PREFECT), "--json").document["result"]["good"]
    assert any("PEP 517" in line for line in told["advice"])


def test_both_directories_are_discovered_in_a_stable_order(run_cli, write, no_process) -> None:
    write("packages/zebra/1.0", PREFECT)
    write("package/ant/default", PREFECT)
    for _ in range(2):
        told = run_cli("recipe", "list", "--json").good().document["result"]["recipes"]
        assert [(one["name"], one["version"]) for one in told[:2]] == [("ant", None), ("zebra", "1.0")]


def test_a_wrong_recipe_does_not_hide_the_others(run_cli, write) -> None:
    write("package/ant/default", PREFECT)
    write("package/bee/default", "build(\n")
    ran = run_cli("recipe", "list")
    assert ran.status == 2
    assert "ant" in ran.out
    assert "bee/default/build.py:1: " in ran.out + ran.err


def test_advice_on_what_nobody_knows(run_cli, write) -> None:
    file = write(
        "package/x/1.0",
        "from builder import package_build as p\n"
        "p.build_package(p.github_source(org='o', repo='x', tag='v1.1', sha256='" + "0" * 64 + "'),\n"
        "    cflags=['-Os'], profiles={'ot2-py31': {'env': {'A': '1'}}})\n"
        "p.build_package(p.github_source(org='o', repo='y', tag='v1'))\n",
    )
    (told,) = run_cli("recipe", "check", file, "--json").good().document["result"]["good"]
    assert told["advice"] == [
        "there is no profile ot2-py31; did you mean ot2-py312?",
        "its source's tag is v1.1, its directory says 1.0",
        "the file also builds y, which is found only in a directory of its own: y/VERSION/build.py",
        "it gives no reason: without one, nobody knows when it may go",
    ]
    assert told["ot2-py31 env"] == {"A": "1"}


def test_a_refusal_is_told(run_cli, write) -> None:
    text = "from builder import package_build as p\np.refuse_package(reason='It needs AVX.', instead='numpy')\n"
    file = write("package/x/default", text)
    assert "It needs AVX." in run_cli("recipe", "check", file).good().out
    assert "refused: It needs AVX." in run_cli("recipe", "list").good().out


def test_pinning_writes_the_sha256_and_nothing_else(run_cli, write, tmp_path: Path) -> None:
    archive = tmp_path / "x-1.0.tar.gz"
    archive.write_bytes(b"source")
    text = f"""\
# kept
from builder import package_build as p

p.build_package(
    source=p.archive(
        urls=["{(tmp_path / "gone").as_uri()}", "{archive.as_uri()}"],  # kept, too
    ),
    reason="ö",
)
"""
    file = write("package/x/1.0", text)
    done = run_cli("recipe", "pin", "x", "--json").good().document["result"]
    sha256 = sha256_file(archive)
    assert done["changed"]
    assert done["recipes"][0]["sha256"] == sha256
    after = file.read_text()
    assert after == text.replace('"],  # kept', f'"],\n        sha256="{sha256}",  # kept')
    again = run_cli("recipe", "pin", "--json").good().document["result"]
    assert not again["changed"]
    assert file.read_text() == after


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("p.archive('{}')", "p.archive('{}', sha256=\"{}\")"),
        ("p.archive('{}', sha256=None)", "p.archive('{}', sha256=\"{}\")"),
        ("made", "made"),
    ],
)
def test_pinning_where_the_source_stands_otherwise(run_cli, write, tmp_path: Path, source: str, written: str) -> None:
    archive = tmp_path / "x-1.0.tar.gz"
    archive.write_bytes(b"source")
    text = "from builder import package_build as p\nmade = p.archive('{}')\np.build_package({})\n"
    file = write("package/x/1.0", text.format(archive.as_uri(), source.format(archive.as_uri())))
    run_cli("recipe", "pin", "x==1.0").good()
    recipe = load(file.parent)
    assert getattr(recipe.source, "sha256", None) == sha256_file(archive)
    assert written.format(archive.as_uri(), sha256_file(archive)) in file.read_text()


def test_a_source_that_cannot_be_pinned_is_told_with_the_line_to_write(run_cli, write, tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(b"source")
    text = "from builder import package_build as p\nmade = [p.archive('{}')]\np.build_package(made[0])\n"
    file = write("package/x/1.0", text.format((tmp_path / "x.tar.gz").as_uri()))
    before = file.read_text()
    ran = run_cli("recipe", "pin")
    assert ran.status == 2
    assert f'sha256="{sha256_file(tmp_path / "x.tar.gz")}"' in ran.out + ran.err
    assert file.read_text() == before
    assert run_cli("recipe", "pin", "nothing").status == 2
    assert "Copy the shipped" in run_cli("recipe", "pin", "pandas").err


def test_a_recipe_is_checked_by_name_a_shipped_one_too(run_cli, write) -> None:
    write("package/greenlet/3.1.1", PREFECT)
    told = run_cli("recipe", "check", "greenlet", "pandas==1.5.0", "--json").good().document["result"]["good"]
    assert [(one["name"], one["version"]) for one in told] == [
        ("greenlet", "3.1.1"), ("greenlet", None), ("pandas", "1.5.0"),
    ]  # fmt: skip
    ran = run_cli("recipe", "check", "nosuch", "package/nosuch")
    assert ran.status == 2
    assert "there is no recipe for nosuch; there is no recipe at package/nosuch" in ran.err


def test_a_new_recipe_passes_its_check(run_cli, tmp_path: Path, no_process) -> None:
    run_cli("recipe", "new", "My_Project", "--offline").good()
    file = tmp_path / "package" / "my-project" / "default" / "build.py"
    assert "my-project" in run_cli("recipe", "check", file).good().out
    before = file.read_text()
    assert run_cli("recipe", "new", "my.project", "--offline").status == 2
    assert run_cli("recipe", "new", "my.project>=1", "--offline").status == 2
    assert file.read_text() == before


@pytest.mark.network
def test_a_new_recipe_has_what_the_sdist_says(run_cli, tmp_path: Path, shared_cache: Path) -> None:
    run_cli("recipe", "new", "markupsafe==3.0.2").good()
    recipe = load(tmp_path / "package" / "markupsafe" / "3.0.2")
    assert isinstance(recipe.source, IndexSdist)
    assert recipe.source.sha256 == "ee55d3edf80167e48ea11a923c7386f4669df67d7994554387f84e7d8b0a2bf0"
    assert recipe.native == ("*.so",)
    text = (recipe.directory / "build.py").read_text()
    assert "# markupsafe 3.0.2: C; back end setuptools.build_meta" in text
    assert not run_cli("recipe", "pin", "--json").good().document["result"]["changed"]
