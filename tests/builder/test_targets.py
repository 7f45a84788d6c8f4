"""What a user may name, and what that means."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder import places
from builder.errors import ConfigFailure, UsageFailure
from builder.targets import Search, environment_names, resolve

SHA = "a" * 64


@pytest.fixture
def search(tmp_path: Path) -> Search:
    for name in ("prefect", "vision"):
        (tmp_path / "environments" / name).mkdir(parents=True)
        (tmp_path / "environments" / name / "environment.yaml").write_text(f"requirements: [{name}==9.9]\n")
    for recipe in ("prefect/3.3.4", "Pillow/9.5", "Pillow/10.1", "greenlet/default"):
        (tmp_path / "package" / recipe).mkdir(parents=True)
        (tmp_path / "package" / recipe / "build.py").write_text("")
    return Search(
        environments=(tmp_path / "environments", places.shipped("environments")),
        packages=(tmp_path / "package", places.shipped("package")),
    )


def test_an_environment_comes_before_a_recipe_and_ours_after_the_users(search: Search) -> None:
    found = resolve("prefect", search)
    assert (found.source, found.requirements) == ("environment", ("prefect==9.9",))


def test_a_recipe_alone_is_an_environment_of_its_newest_version(search: Search) -> None:
    found = resolve("pillow", search)
    assert (found.name, found.source, found.requirements) == ("pillow", "recipe", ("pillow==10.1",))


@pytest.mark.parametrize("target", ["Vision", "VISION", "Prefect"])
def test_an_environment_is_found_however_its_name_is_written(search: Search, target: str) -> None:
    found = resolve(target, search)
    assert (found.name, found.source) == (target.lower(), "environment")


@pytest.mark.parametrize(
    "target", ["prefect==3.3.4", "Prefect >= 3", f"https://files.invalid/prefect-3.3.4.tar.gz#sha256={SHA}"]
)
def test_nothing_takes_the_place_and_the_lock_of_an_environment(search: Search, target: str, tmp_path: Path) -> None:
    with pytest.raises(UsageFailure, match="prefect is an environment") as caught:
        resolve(target, search)
    assert "Push `prefect`, or change environments/prefect" in caught.value.next
    alone = Search(environments=(tmp_path / "none",), packages=search.packages)
    assert resolve(target, alone).name == "prefect"


def test_a_name_in_this_directory_is_told_with_its_path(search: Search, tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text("")
    (tmp_path / "my-package").mkdir()
    for target, path in (("helpers", "./helpers.py"), ("my-package", "./my-package"), ("my-package/", "./my-package")):
        with pytest.raises(UsageFailure) as caught:
            resolve(target, search, base=tmp_path)
        assert caught.value.next == f"Name {path} for what is in this directory."


def test_the_directory_of_robots_and_environments_is_nothing_to_install(search: Search, tmp_path: Path) -> None:
    with pytest.raises(UsageFailure, match="not something to install"):
        resolve(".", search, base=tmp_path)
    (tmp_path / "pyproject.toml").write_text("")
    assert resolve("./", search, base=tmp_path).local == (tmp_path,)


@pytest.mark.parametrize("target", ["numpy==1.26.4", "numpy >= 1", "numpy~=1.26"])
def test_a_requirement_with_a_specifier(search: Search, target: str) -> None:
    found = resolve(target, search)
    assert (found.name, found.source, found.quick) == ("numpy", "requirement", None)


def test_a_name_in_an_unusual_form_gets_a_safe_environment(search: Search) -> None:
    assert resolve("Ruamel.YAML[jinja2]==0.18", search).name == "ruamel-yaml"


def test_a_bare_unknown_name_is_refused_with_what_was_meant(search: Search) -> None:
    with pytest.raises(UsageFailure) as caught:
        resolve("prefct", search)
    assert "Did you mean prefect?" in caught.value.why
    assert "needs a specifier" in caught.value.why
    assert "prefct==" in caught.value.next


def test_a_recipe_for_any_version_needs_one(search: Search) -> None:
    with pytest.raises(UsageFailure, match="no environment or recipe is named greenlet") as caught:
        resolve("greenlet", search)
    assert "Its recipe holds for any version" in caught.value.why


@pytest.mark.parametrize(
    "target", ["", "not a target", "numpy==", "../nowhere", "./nowhere.py", "gone-1-py3-none-any.whl"]
)
def test_what_is_nothing(search: Search, target: str) -> None:
    with pytest.raises(UsageFailure):
        resolve(target, search)


@pytest.mark.parametrize(
    ("made", "target", "name", "source"),
    [
        ("My-Package/pyproject.toml", "./My-Package", "my-package", "path"),
        ("helpers.py", "./helpers.py", "helpers", "path"),
        ("Demo_Pkg-1.0-py3-none-any.whl", "Demo_Pkg-1.0-py3-none-any.whl", "demo-pkg", "wheel"),
        ("demo-1.0.tar.gz", "./demo-1.0.tar.gz", "demo", "path"),
    ],
)
def test_paths(tmp_path: Path, search: Search, made: str, target: str, name: str, source: str) -> None:
    (tmp_path / made).parent.mkdir(exist_ok=True)
    (tmp_path / made).write_text("")
    found = resolve(target, search, base=tmp_path)
    assert (found.name, found.source, found.requirements) == (name, source, ())
    assert found.local == (tmp_path / target,)


def test_the_directory_of_an_environment_is_that_environment(tmp_path: Path, search: Search) -> None:
    found = resolve("./environments/vision", search, base=tmp_path)
    assert (found.name, found.source) == ("vision", "environment")


def test_a_file_that_cannot_be_installed(tmp_path: Path, search: Search) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UsageFailure, match=r"notes\.txt cannot be installed"):
        resolve("./notes.txt", search, base=tmp_path)


@pytest.mark.parametrize("file", ["demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"])
def test_a_url_with_its_hash(search: Search, file: str) -> None:
    url = f"https://files.invalid/{file}#sha256={SHA}"
    found = resolve(url, search)
    assert (found.name, found.source, found.requirements) == ("demo", "url", (f"demo @ {url}",))


@pytest.mark.parametrize(
    "target", ["https://files.invalid/demo-1.0.tar.gz", "demo @ https://files.invalid/demo-1.0.tar.gz#sha256=12"]
)
def test_a_url_without_its_hash_is_refused(search: Search, target: str) -> None:
    with pytest.raises(UsageFailure, match="#sha256="):
        resolve(target, search)


@pytest.mark.parametrize("form", ["{}", "demo @ {}"])
def test_a_url_with_a_password_is_refused_and_not_repeated(search: Search, form: str) -> None:
    with pytest.raises(UsageFailure, match="user name or password") as caught:
        resolve(form.format(f"https://bob:s3cret@files.invalid/demo-1.0.tar.gz#sha256={SHA}"), search)
    assert "s3cret" not in "\n".join(caught.value.lines())


@pytest.mark.parametrize("form", ["{}", "demo @ {}"])
@pytest.mark.parametrize("host", ["h\u2100st", "[host", "host:port"])
def test_what_is_no_url_is_told_without_its_password(search: Search, form: str, host: str) -> None:
    with pytest.raises(UsageFailure) as caught:
        resolve(form.format(f"https://bob:s3cret@{host}/demo-1.0.tar.gz#sha256={SHA}"), search)
    assert "s3cret" not in "\n".join(caught.value.lines())


@pytest.mark.parametrize(
    "form", ["git+https://x.invalid/tool", "tool @ git+https://x.invalid/tool@main#sha256=" + "0" * 64]
)
def test_a_repository_is_told_how_it_can_be_had(search: Search, form: str) -> None:
    with pytest.raises(UsageFailure, match="no sha256 can pin") as caught:
        resolve(form, search)
    assert "git_source" in caught.value.next


def test_a_wrong_environment_file_says_so(tmp_path: Path, search: Search) -> None:
    (tmp_path / "environments" / "vision" / "environment.yaml").write_text("requirements: 3\n")
    with pytest.raises(ConfigFailure):
        resolve("vision", search)


def test_the_shipped_environments_are_good() -> None:
    for name in environment_names(Search()):
        found = resolve(name, Search())
        assert found.source == "environment"
        assert found.as_of, f"{name} names no date"
        assert found.quick, f"{name} has no checks"
