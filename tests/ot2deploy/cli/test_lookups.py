"""The commands that only look something up: env, recipe, store, wheel audit, completion."""

import shutil
import zipfile

import pytest

from builder.store import Store


def test_environments_are_listed_with_the_projects_own_first(run_cli, tmp_path):
    own = tmp_path / "environments" / "prefect" / "environment.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("requirements: [prefect==3.3.4]\n")
    told = run_cli("env", "list", "--json").good().document["result"]["environments"]
    assert {one["name"]: one["path"] for one in told}["prefect"] == str(own)


def test_a_broken_environment_does_not_hide_the_others(run_cli, tmp_path):
    broken = tmp_path / "environments" / "plates" / "environment.yaml"
    broken.parent.mkdir(parents=True)
    broken.write_text("requirements: 7\n")
    ran = run_cli("env", "list")
    assert (ran.status, "prefect==3.3.4" in ran.out, f"{broken}:1" in ran.out) == (2, True, True)
    told = run_cli("env", "list", "--json").document["result"]
    assert "prefect" in [one["name"] for one in told["environments"]]
    assert len(told["problems"]) == 1


def test_a_shipped_environment_is_shown(run_cli):
    shown = run_cli("env", "show", "prefect", "--json").good().document["result"]
    assert shown["source"] == "environment"
    assert shown["requirements"] == ["prefect==3.3.4"]
    assert "prefect==3.3.4" in run_cli("env", "show", "prefect").good().out


def test_an_unknown_target_is_answered_with_the_nearest_one(run_cli):
    ran = run_cli("env", "show", "prefct")
    assert ran.status == 2
    assert "Did you mean prefect?" in ran.err


def test_a_project_elsewhere(run_cli, tmp_path):
    own = tmp_path / "lab" / "environments" / "tools" / "environment.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("requirements: [six==1.17.0]\n")
    shown = run_cli("env", "show", "tools", "--project", "lab", "--json").good().document["result"]
    assert shown["path"] == str(own)


def test_shipped_recipes_are_good(run_cli):
    told = run_cli("recipe", "check", "--json").good().document["result"]
    assert "prefect" in {one["name"] for one in told["good"]}
    assert "prefect" in run_cli("recipe", "list").good().out


def test_a_wrong_recipe_is_named_with_its_line(run_cli, tmp_path):
    wrong = tmp_path / "package" / "thing" / "1.0" / "build.py"
    wrong.parent.mkdir(parents=True)
    wrong.write_text("x = 1\n1 / 0\n")
    ran = run_cli("recipe", "check")
    assert ran.status == 2
    assert f"{wrong}:2" in ran.out
    assert ran.out.count("ok") >= 1


def test_the_store_is_verified_and_damage_removed(run_cli, tmp_path):
    root = run_cli("store", "path", "--json").good().document["result"]["path"]
    store = Store(tmp_path.__class__(root))
    for name in ("good.txt", "bad.txt"):
        (tmp_path / name).write_text(name)
    good = store.add(tmp_path / "good.txt", how="local")
    bad = store.add(tmp_path / "bad.txt", how="local")
    bad.path.write_text("damaged")
    told = run_cli("store", "verify", "--json").good().document["result"]
    assert (told["good"], told["removed"]) == (1, [bad.sha256])
    assert good.path.exists()
    assert "1 file good" in run_cli("store", "verify").good().out


@pytest.fixture
def fake_wheel(tmp_path):
    """A wheel whose name says ARM and whose extension module is no ELF file at all."""
    path = tmp_path / "demo-1.0-cp310-cp310-linux_armv7l.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("demo.so", b"not a binary")
        archive.writestr("demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
        archive.writestr("demo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: cp310-cp310-linux_armv7l\n")
        archive.writestr("demo-1.0.dist-info/RECORD", "")
    return path


def test_a_fake_wheel_is_refused(run_cli, fake_wheel):
    ran = run_cli("wheel", "audit", fake_wheel, "--profile", "ot2-py310", "--json")
    assert ran.status == 1
    (audit,) = ran.document["result"]["audits"]
    assert not audit["ok"]
    text = run_cli("wheel", "audit", fake_wheel, "--profile", "ot2-py310")
    assert text.status == 1
    assert "refused" in text.out


def test_an_unknown_profile(run_cli, fake_wheel):
    ran = run_cli("wheel", "audit", fake_wheel, "--profile", "ot2-py31")
    assert ran.status == 2
    assert "Did you mean" in ran.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(run_cli, shell):
    assert "_OT2DEPLOY_COMPLETE" in run_cli("completion", shell).good().out


@pytest.mark.skipif(not shutil.which("bash"), reason="completion of bash needs bash")
def test_completion_answers_without_a_project(run_program, monkeypatch):
    monkeypatch.setenv("_OT2DEPLOY_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "ot2deploy ro")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert run_program().out.split() == ["plain,rollback", "plain,robot"]
