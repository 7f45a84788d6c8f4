"""`ot2deploy token`: the secret is shown once and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.index.tokens import SECRET


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "environments").mkdir()
    return tmp_path


def test_create_list_revoke(run_cli, project):
    created = run_cli("token", "create", "--name", "ci", "--scope", "upload", "--channel", "dev", "--json").good()
    told = created.document["result"]
    assert SECRET.fullmatch(told["secret"])
    assert created.out.count(told["secret"]) == 1
    assert (told["token"]["name"], told["token"]["scopes"], told["token"]["channels"]) == ("ci", ["upload"], ["dev"])
    listed = run_cli("token", "list").good()
    assert "ci" in listed.out
    assert told["secret"].rpartition("_")[2] not in listed.out
    assert "digest" not in run_cli("token", "list", "--json").good().out
    assert "revoked" in run_cli("index", "token", "revoke", "ci").good().out
    assert "no change" in run_cli("token", "revoke", "ci").good().out
    assert run_cli("token", "list", "--json").document["result"]["tokens"][0]["state"] == "revoked"
    kept = b"".join(path.read_bytes() for path in project.rglob("*") if path.is_file())
    assert told["secret"].rpartition("_")[2].encode() not in kept


def test_the_secret_is_a_line_of_its_own(run_cli, project):
    out = run_cli("token", "create", "--name", "ci", "--scope", "upload", "--scope", "read").good().out
    assert [line for line in out.splitlines() if SECRET.fullmatch(line)]
    assert "may read and upload until 2" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--expires", "soon"), "12h, 90d, 8w"),
        (("--profile", "ot2-py39"), "ot2-py39"),
        (("--channel", "Dev"), "no name of a channel"),
        (("--scope", "write"), "write"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_made(run_cli, project, words, said):
    ran = run_cli("token", "create", "--name", "ci", "--scope", "upload", *words, "--json")
    assert ran.status == 2
    assert said in json.dumps(ran.document["error"])
    assert not (project / ".ot2deploy").exists()


def test_without_tokens_the_list_says_how_to_make_one(run_cli, project):
    assert "token create" in run_cli("token", "list").good().out
