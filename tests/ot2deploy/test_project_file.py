"""ot2deploy.yaml and OT2DEPLOY_INDEX: indexes for a whole project, and for one command."""

from __future__ import annotations

import pytest

from builder.environment import Index
from builder.errors import ConfigFailure, UsageFailure
from builder.targets import resolve
from builder.wheels import orders
from ot2deploy.engine import search_of
from ot2deploy.project import Project
from ot2deploy.project_file import load

LAB = "http://index.example/{profile}/simple/"


@pytest.fixture
def lab(tmp_path):
    """A project with an index of its own, and an environment with another."""
    (tmp_path / "ot2deploy.yaml").write_text(f"indexes:\n  - name: lab\n    url: {LAB}\n")
    environment = tmp_path / "environments" / "tools" / "environment.yaml"
    environment.parent.mkdir(parents=True)
    environment.write_text("requirements: [demo]\nindexes:\n  - {name: mine, url: 'https://mine.example/simple'}\n")
    return Project.find(tmp_path)


def named(environment) -> list[tuple[str, str]]:
    return [(index.name, index.url) for index in environment.indexes]


def test_the_projects_indexes_come_after_the_environments_own(lab):
    found = resolve("tools", search_of(lab))
    assert named(found) == [("mine", "https://mine.example/simple"), ("lab", LAB)]
    assert [index.said for index in found.indexes] == [
        f"{lab.root}/environments/tools/environment.yaml:3", f"{lab.root}/ot2deploy.yaml:2",
    ]  # fmt: skip


def test_they_hold_for_every_target(tmp_path, lab):
    (tmp_path / "mine.py").write_text("X = 1\n")
    for target in ("prefect", "numpy==1.26.4", str(tmp_path / "mine.py")):
        assert named(resolve(target, search_of(lab))) == [("lab", LAB)]
    assert named(orders.of(["numpy"], search_of(lab)).environment) == [("lab", LAB)]
    assert named(orders.whole("prefect", search_of(lab)).environment) == [("lab", LAB)]


def test_of_one_name_the_environments_index_counts(tmp_path, lab):
    lab.settings.write_text("indexes: [{name: mine, url: http://index.example/simple}]\n")
    assert named(resolve("tools", search_of(lab))) == [("mine", "https://mine.example/simple")]


def test_the_variable_comes_first_and_may_name_several(tmp_path, lab, monkeypatch):
    (tmp_path / "wheels").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OT2DEPLOY_INDEX", "http://ci.example/{profile}/dev/simple  wheels")
    found = named(resolve("tools", search_of(lab)))
    assert found[:2] == [("env", "http://ci.example/{profile}/dev/simple"), ("env-2", (tmp_path / "wheels").as_uri())]
    assert [name for name, _ in found[2:]] == ["mine", "lab"]
    monkeypatch.setenv("OT2DEPLOY_INDEX", "http://ci:s3cret@h\u2100st/simple")
    with pytest.raises(UsageFailure, match="OT2DEPLOY_INDEX") as caught:
        search_of(lab)
    assert "s3cret" not in "".join(caught.value.lines())
    monkeypatch.setenv("OT2DEPLOY_INDEX", "ftp://x http://{branch}/simple")
    with pytest.raises(UsageFailure, match="OT2DEPLOY_INDEX") as caught:
        search_of(lab)
    assert len(caught.value.details) == 2


def test_it_is_a_sign_of_a_project_and_may_be_empty(tmp_path):
    (tmp_path / "ot2deploy.yaml").write_text("# nothing yet\n")
    (tmp_path / "below").mkdir()
    project = Project.find(tmp_path / "below")
    assert (project.root, project.is_project) == (tmp_path, True)
    assert load(project.settings).indexes == ()


def test_all_problems_are_told_at_once_with_their_lines(tmp_path):
    path = tmp_path / "ot2deploy.yaml"
    path.write_text(
        "schema: 2\n"
        "indexs: []\n"
        "indexes:\n"
        "  - name: lab\n"
        "  - {name: a, url: 'http://index.example/{channel}/simple'}\n"
        "  - {name: b, url: 'http://{profile}/simple'}\n"
        "  - {name: c, url: 'http://index.example/x-{profile}/simple'}\n"
        "  - {name: d, url: ./nowhere}\n"
        "  - {name: e, url: 'http://index.example/', chanel: dev}\n"
    )
    with pytest.raises(ConfigFailure, match="8 problems") as caught:
        load(path)
    told = [line.removeprefix(f"{path}:") for line in caught.value.details]
    assert [line.partition(":")[0] for line in told] == ["1", "2", "4", "5", "6", "7", "8", "9"]
    assert "written for a newer ot2deploy" in told[0]
    assert "did you mean indexes?" in told[1]
    assert "{channel} is no placeholder" in told[3]
    assert all("must be a whole part of the path" in line for line in told[4:6])


def test_a_directory_with_branches_is_named_by_its_path(tmp_path):
    (tmp_path / "my index").mkdir()
    (tmp_path / "ot2deploy.yaml").write_text("indexes: [{name: lab, url: 'my index/{profile}/simple'}]\n")
    (index,) = load(tmp_path / "ot2deploy.yaml").indexes
    assert index == Index(name="lab", url=f"{tmp_path.as_uri()}/my%20index/{{profile}}/simple")
    assert index.branch("ot2-py310").url == f"{tmp_path.as_uri()}/my%20index/ot2-py310/simple"


def test_a_password_with_braces_is_no_placeholder(tmp_path):
    (tmp_path / "ot2deploy.yaml").write_text("indexes: [{name: lab, url: 'http://bob:{x}@index.example/simple'}]\n")
    assert load(tmp_path / "ot2deploy.yaml").indexes


def test_the_indexes_in_use_are_shown_with_where_they_were_named(lab, run_cli, monkeypatch):
    lab.settings.write_text("indexes: [{name: lab, url: 'http://bob:s3cret@index.example/{profile}/simple/'}]\n")
    monkeypatch.setenv("OT2DEPLOY_INDEX", "http://ci.example/simple")
    shown = run_cli("env", "show", "tools", "--json").good()
    assert [one["name"] for one in shown.document["result"]["indexes"]] == ["env", "mine", "lab"]
    told = run_cli("env", "show", "tools").good().out
    assert "OT2DEPLOY_INDEX" in told
    (finding,) = [one for one in run_cli("doctor", "--json").document["result"]["findings"] if one["name"] == "indexes"]
    assert finding["detail"].startswith("env http://ci.example/simple (OT2DEPLOY_INDEX); lab http://index.example/")
    assert "s3cret" not in shown.out + told + finding["detail"]


def test_a_wrong_file_is_what_doctor_tells(lab, run_cli):
    lab.settings.write_text("indexs: []\n")
    (finding,) = [one for one in run_cli("doctor", "--json").document["result"]["findings"] if one["name"] == "indexes"]
    assert finding["state"] == "warning"
    assert "ot2deploy.yaml" in finding["detail"]
