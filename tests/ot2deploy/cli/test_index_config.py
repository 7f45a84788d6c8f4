"""`ot2deploy index pip-config`."""

from __future__ import annotations

ROOT = "http://index.example"


def test_everything_is_told_with_where_it_belongs(run_cli):
    out = run_cli("index", "pip-config", ROOT, "--profile", "ot2-py310", "--profile", "ot2-py312").good().out
    for part in ("pip.conf", "uv.toml", "ot2deploy.yaml", "ssh root@ROBOT", "/ot2-py312/simple/"):
        assert part in out


def test_one_text_is_nothing_but_itself(run_cli, tmp_path):
    shown = run_cli("index", "pip-config", ROOT, "--format", "uv", "--channel", "dev").good().out
    run_cli("index", "pip-config", ROOT, "--format", "uv", "--channel", "dev", "-o", "uv.toml").good()
    assert (tmp_path / "uv.toml").read_text() == shown
    assert f"{ROOT}/own/dev/simple/" in shown


def test_a_file_that_says_something_else_stays(run_cli, tmp_path):
    words = ("index", "pip-config", ROOT, "--format", "pip", "-o", "pip.conf", "--json")
    assert run_cli(*words).good().document["result"]["changed"]
    assert not run_cli(*words).good().document["result"]["changed"]
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = http://mine.example/\n")
    refused = run_cli(*words)
    assert (refused.status, refused.document["error"]["code"]) == (2, "usage")
    assert "mine.example" in (tmp_path / "pip.conf").read_text()


def test_several_texts_go_into_no_file(run_cli, tmp_path):
    refused = run_cli("index", "pip-config", ROOT, "-o", "all.txt")
    assert refused.status == 2
    assert "--format" in refused.err
    assert not (tmp_path / "all.txt").exists()


def test_a_password_is_refused_and_not_shown(run_cli):
    refused = run_cli("index", "pip-config", "http://bob:s3cret@index.example")
    assert refused.status == 2
    assert "keyring set index.example bob" in refused.err
    assert "s3cret" not in refused.out + refused.err


def test_all_profiles_that_are_as_near_are_named(run_cli):
    assert "Did you mean ot2-py310 or ot2-py312?" in run_cli("index", "pip-config", ROOT, "--profile", "ot2-py31").err


def test_an_unknown_profile_is_told(run_cli):
    assert run_cli("index", "pip-config", ROOT, "--profile", "ot3").status == 2
