"""Recipes are data: upstream's load unchanged, ours say more, broken ones are refused with file and line."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from recipe_factory import PANDAS

from builder import package_build, profile
from builder.errors import ConfigFailure, UsageFailure
from builder.places import shipped
from builder.recipe import find, load, versions
from builder.source import ArchiveSource

PREFECT = """\
from builder import package_build

package_build.build_package(
    source=package_build.github_source(org='PrefectHQ', repo='prefect', tag='3.3.4'),
    setup_py_commands=['bdist_wheel'],
    build_dependencies=['versioneer'],
)
"""


def write(root: Path, where: str, text: str) -> Path:
    directory = root / where
    directory.mkdir(parents=True)
    (directory / "build.py").write_text(text)
    return directory


def test_upstreams_pandas_recipe(tmp_path: Path) -> None:
    recipe = load(write(tmp_path, "pandas/1.5.0", PANDAS))
    assert (recipe.name, recipe.version) == ("pandas", "1.5.0")
    assert recipe.setup_py_commands == ("build_ext", "bdist_wheel")
    assert recipe.build_dependencies == ("numpy", "Cython")
    assert isinstance(recipe.source, ArchiveSource)
    assert recipe.source.urls[0].endswith("/pandas-dev/pandas/archive/refs/tags/v1.5.0.zip")
    assert (recipe.source.filename, recipe.source.sha256, str(recipe.source)) == (
        "v1.5.0.zip",
        None,
        "archive of pandas-dev/pandas's tag v1.5.0",
    )


def test_a_prefect_recipe_in_upstreams_words(tmp_path: Path) -> None:
    recipe = load(write(tmp_path, "prefect/3.3.4", PREFECT))
    assert recipe.setup_py_commands == ("bdist_wheel",)
    assert recipe.native is None


def test_a_release_sdist(tmp_path: Path) -> None:
    text = PREFECT.replace("tag='3.3.4'", "tag='3.3.4', sdist_archive='prefect-3.3.4.tar.gz'")
    recipe = load(write(tmp_path, "prefect/3.3.4", text))
    assert isinstance(recipe.source, ArchiveSource)
    assert recipe.source.urls[0].endswith("/releases/download/3.3.4/prefect-3.3.4.tar.gz")


def test_a_version_of_its_own_comes_before_the_default(tmp_path: Path) -> None:
    text = "from builder.package_build import build_package\nbuild_package(revision={})\n"
    write(tmp_path, "Foo_Bar/1.0", text.format(1))
    write(tmp_path, "Foo_Bar/default", text.format(2))
    dirs = [tmp_path / "missing", tmp_path]
    assert [find("foo-bar", version, dirs).revision for version in ("1.0.0", "2", None)] == [1, 2, 2]  # type: ignore[union-attr]
    assert find("foo", "1.0", dirs) is None


def test_the_first_directory_wins(tmp_path: Path) -> None:
    text = "from builder.package_build import build_package\nbuild_package(reason='{}')\n"
    write(tmp_path / "mine", "x/default", text.format("mine"))
    write(tmp_path / "shipped", "x/1.0", text.format("shipped"))
    recipe = find("x", "1.0", [tmp_path / "mine", tmp_path / "shipped"])
    assert recipe is not None
    assert recipe.reason == "mine"


def test_the_digest_covers_every_file_but_no_leftovers(tmp_path: Path) -> None:
    directory = write(tmp_path, "x/1.0", PREFECT.replace("prefect'", "x'"))
    first = load(directory).digest
    (directory / "__pycache__").mkdir()
    (directory / "__pycache__" / "build.pyc").write_bytes(b"")
    assert load(directory).digest == first
    (directory / "notes.txt").write_text("x")
    assert load(directory).digest != first


def test_recipes_do_not_see_each_other(tmp_path: Path) -> None:
    load(write(tmp_path, "a/1", "LEAK = 1\n" + PREFECT))
    with pytest.raises(ConfigFailure, match="NameError"):
        load(write(tmp_path, "b/1", "print(LEAK)\n" + PREFECT))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("x = (\n", 1, "never closed"),
        ("\nfrom builder import package_build\npackage_build.build_package(libs=['ffi'])\n", 3, "libs"),
        ("import nothing_of_this_name\n", 1, "ModuleNotFoundError"),
        (
            "from builder import package_build as p\np.build_package(libraries='libffi')\n",
            2,
            "libraries must be a list",
        ),
        ("from builder import package_build as p\np.build_package(env={'A': 1})\n", 2, "env must give each name"),
        ("from builder import package_build as p\np.build_package(checks=None)\n", 2, "checks must be a list"),
        ("from builder import package_build as p\np.build_package(revision=True)\n", 2, "True is not a whole number"),
    ],
)
def test_a_broken_recipe_names_file_and_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    directory = write(tmp_path, "x/1.0", text)
    with pytest.raises(ConfigFailure) as raised:
        load(directory)
    assert str(raised.value).startswith(f"{directory / 'build.py'}:{line}: ")
    assert said in str(raised.value)


def test_all_problems_at_once(tmp_path: Path) -> None:
    text = "from builder import package_build\n"
    text += "package_build.build_package(None, None, ['a b'], constraints=['=='], revision=-1,"
    text += " checks=[{'kind': 'magic', 'name': 'x', 'timeout': 1}])\n"
    with pytest.raises(ConfigFailure) as raised:
        load(write(tmp_path, "x/1.0", text))
    assert len(raised.value.details) == 4


def test_everything_that_is_missing_is_told_with_its_line(tmp_path: Path) -> None:
    text = (
        "from builder import package_build\n"
        "package_build.build_package(\n"
        "    patches=['lost.patch', 'other.patch'],\n"
        "    libraries=['zlib', 'libfi',\n"
        "        'plates'],\n"
        "    profiles={'ot2-py31': {'cflags': ['-Os']}, 'ot2-py310': {'libraries': ['opnssl']}},\n"
        ")\n"
    )
    directory = write(tmp_path, "x/1.0", text)
    with pytest.raises(ConfigFailure) as raised:
        load(directory)
    file = directory / "build.py"
    told = [line.removeprefix(f"{file}:") for line in raised.value.details]
    assert [line.split(";")[0] for line in told] == [
        "3: patches: there is no file 'lost.patch' beside the recipe",
        "3: patches: there is no file 'other.patch' beside the recipe",
        "4: there is no library libfi",
        "5: there is no library plates",
        "6: there is no library opnssl",
        "6: there is no profile ot2-py31",
    ]
    assert "did you mean libffi?" in told[2]


def test_a_profile_that_is_not_shipped_is_no_error_by_itself(tmp_path: Path) -> None:
    text = "from builder import package_build as p\np.build_package(profiles={'cp311-glibc2.36': {'env': {}}})\n"
    assert load(write(tmp_path, "x/1.0", text)).profiles == {"cp311-glibc2.36": {"env": {}}}


def test_a_recipe_without_or_with_too_many_calls(tmp_path: Path) -> None:
    for count in (0, 2):
        with pytest.raises(ConfigFailure, match=f"{count} times"):
            load(
                write(
                    tmp_path, f"x/{count}", "from builder import package_build as p\n" + "p.build_package()\n" * count
                )
            )


def test_of_several_calls_the_projects_own_counts(tmp_path: Path) -> None:
    other = PREFECT.replace("prefect'", "other'").replace("from builder import package_build", "")
    assert load(write(tmp_path, "prefect/3.3.4", PREFECT + other)).source.urls[0].count("prefect")  # type: ignore[union-attr]


def test_the_wheel_is_not_there_while_a_recipe_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(ConfigFailure, match="a recipe is not run"):
        load(
            write(
                tmp_path,
                "x/1.0",
                "import os\n" + PREFECT.replace("package_build.b", "w = package_build.b") + "os.fspath(w)",
            )
        )
    with pytest.raises(UsageFailure):
        package_build.build_package()


def test_every_shipped_recipe_loads_and_says_why() -> None:
    directory = shipped("package")
    found = [load(path) for project in directory.iterdir() for _, path in versions(project.name, directory)]
    assert {"greenlet", "cffi", "pyyaml", "prefect"} <= {recipe.name for recipe in found}
    assert all(recipe.refusal or (recipe.reason and recipe.native is not None) for recipe in found)


def test_the_examples_of_the_documentation_load(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    recipes = [load(write(tmp_path, f"pandas/{number}", block)) for number, block in enumerate(blocks)]
    assert [recipe.libraries for recipe in recipes[:2]] == [("libyaml",), ()]
    assert recipes[2].build_dependencies == ("numpy", "Cython")
    assert recipes[3].refusal is not None
    table = text.partition("## Keywords")[2].partition("## Sources")[0]
    told = set(re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in table.splitlines() if line[:3] == "| `")))
    assert told == set(inspect.signature(package_build.build_package).parameters)


KEYWORDS = """\
from builder import package_build as p

p.build_package(
    source=p.git_source("https://git.invalid/x", "main"),
    build_dependencies=[
        "good",
        "b a d",
    ],
    as_of="yesterday",
    patches=["missing.patch", "../outside"],
    profiles={
        "ot2-py310": {"cflag": ["-O1"], "env": {"A": 1}},
    },
)
"""


def test_every_problem_has_the_line_of_its_keyword(tmp_path: Path) -> None:
    directory = write(tmp_path, "x/1.0", KEYWORDS)
    with pytest.raises(ConfigFailure) as raised:
        load(directory)
    told = [line.removeprefix(f"{directory / 'build.py'}:") for line in raised.value.details]
    assert told == [
        "4: source: 'main' is no commit: all 40 digits 0-9 a-f, because a branch or a tag may move",
        "7: build_dependencies: 'b a d' is not a requirement",
        "9: as_of: 'yesterday' is not a date, YYYY-MM-DD",
        "10: patches: there is no file '../outside' beside the recipe",
        "10: patches: there is no file 'missing.patch' beside the recipe",
        "12: env must give each name a text, not {'A': 1}",
        "12: ot2-py310: cflag: did you mean cflags?",
    ]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("'x.zip'", "must be made by one of package_build's functions"),
        ("p.archive()", "an archive needs a URL"),
        ("p.archive('ftp://x/y.zip')", "is no http, https or file URL"),
        ("p.archive('https://x/y.zip', sha256='12')", "is no sha256"),
        ("p.archive('https://x/y.zip', path='../up')", "must lie in the source's directory"),
        ("p.debian_source('xy', '--help')", "cannot be of a Debian source package"),
        ("p.git_source('ext::sh', '" + "0" * 40 + "')", "is no URL that git knows"),
        ("p.local_source('../up')", "there is no directory '../up' beside the recipe"),
    ],
)
def test_a_source_that_cannot_be(tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(ConfigFailure, match=re.escape(said)):
        load(write(tmp_path, "x/1.0", f"from builder import package_build as p\np.build_package({source})\n"))


def test_what_holds_for_one_profile_is_added_for_it_only(tmp_path: Path) -> None:
    text = (
        "from builder import package_build as p\n"
        "p.build_package(cflags=['-Os'], env={'A': '1'}, libraries=['zlib'], profiles={\n"
        "    'ot2-py310': {'cflags': ['-O1'], 'env': {'A': '2', 'B': '3'}, 'build_dependencies': ['x<1']}})\n"
    )
    recipe = load(write(tmp_path, "x/1.0", text))
    one, other = (recipe.for_profile(profile.load(name)) for name in ("ot2-py310", "ot2-py312"))
    assert (one.cflags, one.env, one.build_dependencies) == (("-Os", "-O1"), {"A": "2", "B": "3"}, ("x<1",))
    assert (other.cflags, other.env, other.libraries) == (("-Os",), {"A": "1"}, ("zlib",))
    assert one.for_profile(profile.load("ot2-py310")) == one


def test_who_builds_with_numpy_compiles_against_the_targets(tmp_path: Path) -> None:
    text = "from builder import package_build as p\np.build_package(build_dependencies=['NumPy>=1.20']{})\n"
    assert load(write(tmp_path, "x/1.0", text.format(""))).headers_of == ("NumPy>=1.20",)
    assert load(write(tmp_path, "x/2.0", text.format(", headers_of=[]"))).headers_of == ()


def test_a_project_can_be_refused(tmp_path: Path) -> None:
    text = "from builder import package_build as p\np.refuse_package(reason='No\\n  ARM.', instead='numpy')\n"
    recipe = load(write(tmp_path, "x/default", text))
    assert recipe.refusal == package_build.Refusal(reason="No ARM.", instead="numpy")
