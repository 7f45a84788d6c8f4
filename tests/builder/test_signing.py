"""Signatures made and checked by the real ssh-keygen."""

from __future__ import annotations

import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from wheel_factory import make_wheel

from builder import signing
from builder.bundle import Bundle, assemble, read, write
from builder.environment import Environment, import_check
from builder.profile import load
from builder.signing import NotSigned, SignatureFailure
from builder.store import Store


def keygen(*words: str | Path, **options) -> str:
    return subprocess.run(
        ["ssh-keygen", *map(str, words)], check=True, capture_output=True, text=True, **options
    ).stdout


def new_key(directory: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    path = directory / f"key-{kind}-{len(list(directory.iterdir()))}"
    keygen("-q", "-t", kind, "-N", passphrase, "-C", "", "-f", path)
    return path


def signers(key: Path, who: str = "ann@lab", options: str = "") -> bytes:
    return f"{who} {options} {Path(f'{key}.pub').read_text()}".encode()


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    blob = Store(tmp_path / "store").add(make_wheel(tmp_path), how="public")
    row = {
        "name": "demo", "version": "1.0", "filename": blob.filename, "sha256": blob.sha256, "size": blob.size,
        "unpacked": 10, "files": 4, "how": "public", "requested": True,
    }  # fmt: skip
    lab = Environment(name="lab", requirements=("demo==1.0",))
    return assemble(
        lab, load("ot2-py310"), [row], [blob], quick=[import_check("demo")], as_of="2025-04-20", lock="f" * 64
    )


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_what_a_key_signed_is_its_owners(tmp_path: Path, bundle: Bundle, kind: str) -> None:
    key = new_key(tmp_path, kind)
    signature = signing.sign(bundle.manifest, key)
    signer = signing.allowed(bundle.manifest, [signature], signers(key))
    fingerprint = keygen("-l", "-f", key).split()[1]
    assert (signer.principal, signer.kind, signer.fingerprint) == ("ann@lab", kind.upper(), fingerprint)
    assert signing.check(bundle.manifest, signature).fingerprint == fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"checks": {"quick": [{"kind": "run", "name": "x", "argv": ["rm"], "timeout": 1}], "deep": []}},
        {"variables": {"A": "b"}},
        {"install_method": "tree"},
        {"something": "new"},
    ],
)
def test_a_signature_is_of_every_byte_of_the_manifest(tmp_path: Path, bundle: Bundle, change: dict) -> None:
    key = new_key(tmp_path)
    signature = signing.sign(bundle.manifest, key)
    with pytest.raises(SignatureFailure) as caught:
        signing.allowed({**bundle.manifest, **change}, [signature], signers(key))
    assert "changed after it was signed" in caught.value.details[0]


def test_no_signature_and_nobody_allowed_are_two_things(tmp_path: Path, bundle: Bundle) -> None:
    key, other = new_key(tmp_path), new_key(tmp_path)
    with pytest.raises(NotSigned):
        signing.allowed(bundle.manifest, [], signers(key))
    with pytest.raises(SignatureFailure) as caught:
        signing.allowed(bundle.manifest, [signing.sign(bundle.manifest, other)], signers(key))
    assert "whom the allowed signers do not have" in caught.value.details[0]
    assert keygen("-l", "-f", other).split()[1] in caught.value.details[0]


@pytest.mark.parametrize("options", ['namespaces="git"', 'valid-before="20200101"'])
def test_a_signer_for_other_things_or_another_time_does_not_count(tmp_path: Path, bundle: Bundle, options: str) -> None:
    key = new_key(tmp_path)
    with pytest.raises(SignatureFailure, match="no signature of the bundle counts") as caught:
        signing.allowed(bundle.manifest, [signing.sign(bundle.manifest, key)], signers(key, options=options))
    assert any(word in line for line in caught.value.details for word in ("namespace", "expired"))
    assert str(tmp_path) not in " ".join(caught.value.details)


def test_a_signature_for_another_purpose_does_not_count(tmp_path: Path, bundle: Bundle) -> None:
    key = new_key(tmp_path)
    data = tmp_path / "data"
    data.write_bytes(signing.manifest_bytes(bundle.manifest))
    keygen("-Y", "sign", "-n", "git", "-f", key, data)
    with pytest.raises(SignatureFailure) as caught:
        signing.allowed(bundle.manifest, [Path(f"{data}.sig").read_text()], signers(key))
    assert "its namespace is not ot2deploy" in caught.value.details[0]


def test_the_first_signature_that_counts_is_enough(tmp_path: Path, bundle: Bundle) -> None:
    key, other = new_key(tmp_path), new_key(tmp_path)
    both = ["no signature at all", signing.sign(bundle.manifest, other), signing.sign(bundle.manifest, key)]
    assert signing.allowed(bundle.manifest, both, signers(key, "bob@lab,ann@lab")).principal == "bob@lab"


def test_a_bundle_file_keeps_its_signatures_and_ssh_keygen_alone_can_check_them(tmp_path: Path, bundle: Bundle) -> None:
    key, path = new_key(tmp_path), tmp_path / "lab.ot2bundle"
    signature = signing.sign(bundle.manifest, key)
    write([replace(bundle, signatures=(signature,))], path)
    (found,) = read(path, Store(tmp_path / "elsewhere"))
    assert found.signatures == (signature,)
    with zipfile.ZipFile(path) as archive:
        (tmp_path / "sig").write_bytes(archive.read("signatures/ot2-py310.0.sig"))
        manifest = archive.read("manifests/ot2-py310.json")
    (tmp_path / "allowed").write_bytes(signers(key))
    words = ("-Y", "verify", "-n", "ot2deploy", "-f", tmp_path / "allowed", "-I", "ann@lab", "-s", tmp_path / "sig")
    assert "Good" in keygen(*words, input=manifest.decode())


def test_a_passphrase_is_asked_for_and_never_a_word_of_a_command(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key(tmp_path, passphrase="open sesame")
    with pytest.raises(SignatureFailure, match="needs its passphrase") as caught:
        signing.sign(bundle.manifest, key, asking=False)
    assert f"ssh-add {key}" in caught.value.next
    asker = tmp_path / "askpass"
    asker.write_text("#!/bin/sh\necho open sesame\n")
    asker.chmod(0o700)
    monkeypatch.setenv("SSH_ASKPASS", str(asker))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    assert signing.check(bundle.manifest, signing.sign(bundle.manifest, key)).kind == "ED25519"


def test_the_ssh_agent_signs_for_a_public_key(tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key(tmp_path)
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(tmp_path / "agent")], stdout=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        while subprocess.run(["ssh-add", str(key)], capture_output=True).returncode:
            assert agent.poll() is None
        key.unlink()
        signature = signing.sign(bundle.manifest, Path(f"{key}.pub"), asking=False)
        assert signing.check(bundle.manifest, signature).kind == "ED25519"
    finally:
        agent.terminate()
        agent.wait()


def test_an_ssh_keygen_that_is_missing_or_old_is_told(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SignatureFailure, match="cannot start ssh-keygen"):
        signing.sign(bundle.manifest, key)
    old = tmp_path / "ssh-keygen"
    old.write_text("#!/bin/sh\necho 'unknown option -- Y' >&2\nexit 1\n")
    old.chmod(0o700)
    with pytest.raises(SignatureFailure, match="too old") as caught:
        signing.sign(bundle.manifest, key)
    assert "OpenSSH 8.2" in caught.value.next


def test_a_key_that_is_none_or_not_there_is_told(tmp_path: Path, bundle: Bundle) -> None:
    with pytest.raises(SignatureFailure, match="there is no key"):
        signing.sign(bundle.manifest, tmp_path / "nothing")
    (tmp_path / "none").write_text("no key\n")
    (tmp_path / "none").chmod(0o600)
    with pytest.raises(SignatureFailure, match="could not sign"):
        signing.sign(bundle.manifest, tmp_path / "none")
