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
    told = workplace.run_cli("bundle", "--help").good().out
    assert "--profile" in told
    assert "verify" in told


def test_a_robot_that_demands_signatures_gets_nothing_without(workplace: Any, bundle: str, key: Path) -> None:
    (workplace.lab.path.parent / "signers").write_text((Path(workplace.directory) / "signers").read_text())
    workplace.lab.write(r1={"signers": "signers", "signed": "true"})
    row = workplace.push(bundle, status=1)
    assert row["error"]["code"] == "signature-refused"
    assert f"ot2deploy bundle sign {bundle} --key KEY" in row["error"]["next"]
    named = workplace.push("plates", status=1)["error"]["next"]
    assert f"ot2deploy push plates --sign KEY --robots {workplace.lab.path}" in named
    assert not workplace.lab.base().joinpath("wheels").exists(), "something was sent"
    assert workplace.push(bundle, "--dry-run", status=1)["error"]["code"] == "signature-refused"

    stranger = Path(workplace.directory) / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stranger], check=True)
    workplace.run_cli("bundle", "sign", bundle, "--key", stranger).good()
    row = workplace.push(bundle, status=1)
    assert "whom the allowed signers do not have" in row["error"]["details"][0]

    workplace.run_cli("bundle", "sign", bundle, "--key", key).good()
    row = workplace.push(bundle)
    assert (row["outcome"], row["signer"]["principal"]) == ("pushed", "ann@lab")
    assert workplace.push("plates", status=1)["error"]["code"] == "signature-refused"  # there already, and not signed
    row = workplace.push("plates", "--sign", key)
    assert (row["outcome"], row["signer"]["principal"]) == ("no change", "ann@lab")


def test_a_key_that_asks_cannot_sign_during_a_push(workplace: Any, bundle: str) -> None:
    locked = Path(workplace.directory) / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-f", locked], check=True)
    row = workplace.push("plates", "--sign", locked, status=1)
    assert row["error"]["code"] == "signature"
    assert f"ssh-add {locked}" in row["error"]["next"]


def test_without_a_demand_the_signer_is_only_told(workplace: Any, bundle: str, key: Path) -> None:
    (workplace.lab.path.parent / "signers").write_text((Path(workplace.directory) / "signers").read_text())
    workplace.lab.write(r1={"signers": "signers"})
    assert workplace.push(bundle)["signer"] is None
    workplace.run_cli("bundle", "sign", bundle, "--key", key).good()
    assert workplace.push(bundle)["signer"]["principal"] == "ann@lab"
    assert "ann@lab" in workplace.run_cli("push", bundle, "--robots", workplace.lab.path).good().out


def test_an_unsigned_bundle_never_takes_the_place_of_a_signed_one(workplace: Any, bundle: str, key: Path) -> None:
    again = ("bundle", "plates", "--profile", "host", "-o", bundle)
    assert ", signed by ED25519 SHA256:" in workplace.run_cli(*again, "--sign", key).good().out
    before = (Path(workplace.directory) / bundle).read_bytes()
    ran = workplace.run_cli(*again)
    assert ran.status == 2
    assert "is signed, and what would take its place is not" in ran.err
    assert (Path(workplace.directory) / bundle).read_bytes() == before


def test_a_demand_without_signers_is_a_mistake_in_the_file(workplace: Any) -> None:
    workplace.lab.write(r1={"signed": "true"})
    ran = workplace.run_cli("robot", "list", "--robots", workplace.lab.path)
    assert ran.status == 2
    assert "`signers` names no file" in ran.err
