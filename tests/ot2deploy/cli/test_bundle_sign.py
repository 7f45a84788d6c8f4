"""`ot2deploy bundle sign` and `verify`, and robots that demand signed bundles; keys and signatures are ssh-keygen's."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return new_key(tmp_path, "ann")


def new_key(tmp_path: Path, who: str) -> Path:
    path = tmp_path / f"key-{who}"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True)
    with (tmp_path / "signers").open("a") as file:
        file.write(f"{who}@lab {Path(f'{path}.pub').read_text()}")
    return path


@pytest.fixture
def bundle(workplace: Any) -> str:
    workplace.environment("plates", workplace.wheel("plates"))
    workplace.run_cli("bundle", "plates", "--profile", "host", "-o", "plates.ot2bundle").good()
    return "plates.ot2bundle"


def test_a_file_is_signed_and_verified(workplace: Any, bundle: str, key: Path) -> None:
    unsigned = workplace.run_cli("bundle", "verify", bundle, "--json")
    (row,) = unsigned.document["result"]["bundles"]
    assert (unsigned.status, row["error"]["code"], row["signatures"]) == (1, "not-signed", 0)

    workplace.run_cli("bundle", "sign", bundle, "--key", key).good()
    other = new_key(Path(workplace.directory), "bob")
    workplace.run_cli("bundle", "sign", bundle, "--key", other).good()
    (row,) = workplace.run_cli("bundle", "verify", bundle, "--json").good().document["result"]["bundles"]
    assert len(row["signers"]) == 2
    assert row["signers"][0]["principal"] is None
    told = workplace.run_cli("bundle", "verify", bundle, "--signers", "signers").good().out
    assert "ann@lab (ED25519 SHA256:" in told
    (Path(workplace.directory) / "nobody").write_text("")
    ran = workplace.run_cli("bundle", "verify", bundle, "--signers", "nobody")
    assert ran.status == 1
    assert "whom the allowed signers do not have" in ran.out + ran.err


def test_a_bundle_is_signed_while_it_is_written(workplace: Any, bundle: str, key: Path) -> None:
    workplace.run_cli("bundle", "plates", "--profile", "host", "-o", "signed.ot2bundle", "--sign", key).good()
    workplace.run_cli("bundle", "verify", "signed.ot2bundle", "--signers", "signers").good()
    assert (Path(workplace.directory) / bundle).read_bytes() != (
        Path(workplace.directory) / "signed.ot2bundle"
    ).read_bytes()


def test_what_cannot_be_signed_or_verified_is_told(workplace: Any, bundle: str, key: Path) -> None:
    assert workplace.run_cli("bundle", "sign", bundle).status == 2
    ran = workplace.run_cli("bundle", "sign", bundle, "--key", "nokey", "--json")
    assert (ran.status, ran.document["error"]["code"]) == (1, "signature")
    assert workplace.run_cli("bundle", "sign", "none.ot2bundle", "--key", key).status == 2
    assert workplace.run_cli("bundle", "verify", bundle, "--signers", "none").status == 2
    help = workplace.run_cli("bundle", "--help").good().out
    assert "--profile" in help
    assert "verify" in help
