"""Signatures of bundles: made and checked by OpenSSH's ssh-keygen (`-Y sign`, `-Y verify`; PROTOCOL.sshsig)."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.bundle.archive import manifest_bytes
from builder.errors import BuildFailure, ToolFailure
from builder.run import Finished, environment, run

NAMESPACE = "ot2deploy"
TIMEOUT = 60.0  # seconds
TYPING = 300.0  # seconds to type a passphrase or touch a key in
# With these a program may ask for a passphrase where there is no terminal.
ASKING = ("SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "DISPLAY", "WAYLAND_DISPLAY")
GOOD = re.compile(r'Good "ot2deploy" signature with (\S+) key (SHA256:[A-Za-z0-9+/]+)')
INSTALL = "Install OpenSSH 8.2 or newer (Debian: openssh-client), and see that ssh-keygen is on the PATH."


class SignatureFailure(BuildFailure):
    """A bundle could not be signed, or has no signature that counts."""

    code = "signature"


class NotSigned(SignatureFailure):
    """A bundle has no signature at all."""

    code = "not-signed"


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Who signed: the key's kind and fingerprint, and the name that a file of allowed signers has for it, if asked."""

    kind: str
    fingerprint: str
    principal: str | None = None

    def __str__(self) -> str:
        key = f"{self.kind} {self.fingerprint}"
        return f"{self.principal} ({key})" if self.principal else key

    def as_dict(self) -> dict[str, Any]:
        """The signer as JSON."""
        return {"principal": self.principal, "key": self.kind, "fingerprint": self.fingerprint}


def sign(manifest: Mapping[str, Any], key: Path, *, asking: bool = True) -> str:
    """The signature of a manifest, as armoured text.

    `key` is a private key file, or a public one whose private key is in the ssh agent. With `asking`, ssh-keygen may
    ask for a passphrase on the terminal. Raises SignatureFailure.
    """
    if not key.is_file():
        raise SignatureFailure(f"there is no key {key}", next="Name a private key file, such as ~/.ssh/id_ed25519")
    with tempfile.TemporaryDirectory(prefix="ot2deploy-sign-") as place:
        data = Path(place) / "manifest"
        data.write_bytes(manifest_bytes(manifest))  # a file: standard input belongs to who types the passphrase
        done = _keygen("sign", "-n", NAMESPACE, "-f", key, data, terminal=asking)
        made = data.with_suffix(".sig")
        if done.status == 0 and made.is_file():
            return made.read_text(encoding="ascii")
    raise _not_made(key, done.stderr)


def check(manifest: Mapping[str, Any], signature: str) -> Signer:
    """Whose key signed exactly this manifest. Says nothing about who that is. Raises SignatureFailure."""
    with tempfile.TemporaryDirectory(prefix="ot2deploy-sign-") as place:
        return _valid(manifest, _written(place, "signature", signature))


def allowed(manifest: Mapping[str, Any], signatures: Sequence[str], signers: bytes) -> Signer:
    """The first of `signatures` that somebody in `signers` (the bytes of an allowed-signers file) made.

    Raises NotSigned when there is none at all, SignatureFailure with the reason for each that does not count.
    """
    if not signatures:
        raise NotSigned("the bundle is not signed")
    reasons: list[str] = []
    with tempfile.TemporaryDirectory(prefix="ot2deploy-sign-") as place:
        known = _written(place, "signers", signers.decode("utf-8", "surrogateescape"))
        for number, signature in enumerate(signatures):
            try:
                return _named(manifest, _written(place, f"signature-{number}", signature), known)
            except SignatureFailure as failure:
                reasons += [failure.what, *failure.details]
    raise SignatureFailure("no signature of the bundle counts", details=tuple(reasons))


def _named(manifest: Mapping[str, Any], signature: Path, known: Path) -> Signer:
    signer = _valid(manifest, signature)
    found = _keygen("find-principals", "-s", signature, "-f", known)
    names = found.stdout.split() if found.status == 0 else []
    said = found.stderr
    for name in names:
        done = _keygen(
            "verify", "-n", NAMESPACE, "-f", known, "-I", name, "-s", signature, input=manifest_bytes(manifest)
        )
        if done.status == 0:
            return Signer(kind=signer.kind, fingerprint=signer.fingerprint, principal=name)
        said = done.stderr
    raise SignatureFailure(f"signed with {signer}, whom the allowed signers do not have", details=_told(said, known))


def _valid(manifest: Mapping[str, Any], signature: Path) -> Signer:
    done = _keygen("check-novalidate", "-n", NAMESPACE, "-s", signature, input=manifest_bytes(manifest))
    good = GOOD.search(done.stdout)
    if done.status == 0 and good:
        return Signer(kind=good[1], fingerprint=good[2])
    if "namespace does not match" in done.stderr:
        raise SignatureFailure(f"a signature is for something else than bundles: its namespace is not {NAMESPACE}")
    if "incorrect signature" in done.stderr:
        raise SignatureFailure("a signature is of other bytes than these: the bundle was changed after it was signed")
    raise SignatureFailure("a signature cannot be read", details=_told(done.stderr, signature))


def _keygen(operation: str, *words: str | Path, input: bytes | None = None, terminal: bool = False) -> Finished:
    """Runs `ssh-keygen -Y`. Raises SignatureFailure where there is none, or one that cannot do this."""
    try:
        done = run(
            ["ssh-keygen", "-Y", operation, *words],
            timeout=TYPING if terminal else TIMEOUT,
            env=environment(passed=ASKING),
            input=input,
            check=False,
            terminal=terminal,
        )
    except ToolFailure as failure:
        raise SignatureFailure(failure.what, next=INSTALL) from failure
    if re.search(r"(unknown|illegal|invalid) option -- .?Y|Unsupported operation for -Y", done.stderr):
        raise SignatureFailure(f"this ssh-keygen is too old: it cannot do -Y {operation}", next=INSTALL)
    return done


def _not_made(key: Path, said: str) -> SignatureFailure:
    if "passphrase" in said:
        return SignatureFailure(
            f"{key} needs its passphrase",
            why="It was not given, or is another one.",
            next=f"Run: ssh-add {key}   (the ssh agent then signs without asking), and this command again",
        )
    return SignatureFailure(f"ssh-keygen could not sign with {key}", details=_told(said, key.parent))


def _told(said: str, place: Path) -> tuple[str, ...]:
    """What ssh-keygen said, without the names of our temporary files."""
    lines = (line.replace(f"{place.parent}{os.sep}", "").strip() for line in said.splitlines())
    return tuple(line for line in lines if line)[-3:]


def _written(place: str, name: str, text: str) -> Path:
    path = Path(place) / name
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path
