"""`ot2deploy bundle sign` and `verify`: who stands for a bundle file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from builder.errors import Failure, UsageFailure
from ot2deploy.cli import options
from ot2deploy.cli.outcomes import failures, release
from ot2deploy.cli.result import Shown, lines, table

if TYPE_CHECKING:
    from builder.bundle import Bundle
    from builder.signing import Signer

F = TypeVar("F", bound=Callable[..., Any])


def key_option(name: str, help: str, *, required: bool = False) -> Callable[[F], F]:
    """The option that names an SSH key; the command gets it as `key`."""
    return click.option(
        name, "key", type=click.Path(path_type=Path, dir_okay=False), metavar="KEY", required=required, help=help,
        callback=lambda _ctx, _parameter, path: path and path.expanduser(),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One bundle of a file: who signed it, or why no signature counts."""

    bundle: Bundle
    signers: tuple[Signer, ...] = ()
    failure: Failure | None = None

    def as_dict(self) -> dict[str, Any]:
        """The bundle's names and its signers as JSON."""
        return {
            "environment": self.bundle.environment,
            "profile": self.bundle.profile,
            "digest": self.bundle.digest,
            "signatures": len(self.bundle.signatures),
            "signers": [signer.as_dict() for signer in self.signers],
            "error": self.failure.as_dict() if self.failure else None,
        }


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What became of each bundle of a file."""

    path: Path
    rows: tuple[Judged, ...]

    @property
    def exit_code(self) -> int:
        """0 every bundle has a signature that counts, else 1: a file is pushed whole."""
        return int(any(row.failure for row in self.rows))

    def as_dict(self) -> dict[str, Any]:
        """The file and its bundles as JSON."""
        return {"path": str(self.path), "bundles": [row.as_dict() for row in self.rows]}


@click.command("sign")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@key_option("--key", "The SSH key; may be a public key whose private one the ssh agent has.", required=True)
@options.output
def sign(file: Path, key: Path) -> Shown:
    """Add an SSH key's signature to a bundle file, beside those it has.

    Its manifests are signed: every wheel by its hash, the environment's variables and all checks. ssh-keygen asks for a
    passphrase. For example: ot2deploy bundle sign prefect.ot2bundle --key ~/.ssh/id_ed25519
    """
    from builder import bundle as bundle_module
    from ot2deploy.bundles import held_in

    made = tuple(signed(one, key) for one in held_in(file))
    bundle_module.write(made, file)
    rows = tuple(_judged(one, None) for one in made)
    return Shown(
        result=Verified(path=file, rows=rows), parts=(_shown(rows), lines("", f"{file} is signed", style="good"))
    )


@click.command("verify")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--signers", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Who may sign, as ssh-keygen's ALLOWED SIGNERS; without it, any key will do and is only named.",
)  # fmt: skip
@options.output
def verify(file: Path, signers: Path | None) -> Shown:
    """Check a bundle file, and who signed it.

    Exit codes: 0 all of it is whole and signed, 1 not.
    """
    from ot2deploy.bundles import held_in

    try:
        known = signers.read_bytes() if signers else None
    except OSError as error:
        raise UsageFailure(f"{signers} cannot be read: {error.strerror}") from error
    rows = tuple(_judged(one, known) for one in held_in(file))
    result = Verified(path=file, rows=rows)
    end = (
        lines("", f"{file} is whole, and not signed as it should be", style="bad")
        if result.exit_code
        else lines("", f"{file} is whole and signed", style="good")
    )
    return Shown(result=result, parts=(_shown(rows), *failures(row.failure for row in rows), end))


def signed(one: Bundle, key: Path) -> Bundle:
    """A bundle with one signature more. Raises SignatureFailure."""
    from builder import signing

    made = signing.sign(one.manifest, key)
    return one if made in one.signatures else replace(one, signatures=(*one.signatures, made))


def _judged(one: Bundle, known: bytes | None) -> Judged:
    from builder import signing

    try:
        if known is not None or not one.signatures:
            return Judged(bundle=one, signers=(signing.allowed(one.manifest, one.signatures, known or b""),))
        return Judged(bundle=one, signers=tuple(signing.check(one.manifest, text) for text in one.signatures))
    except signing.SignatureFailure as failure:
        failure.subject = one.profile
        failure.next = failure.next or "Sign it: ot2deploy bundle sign FILE --key KEY"
        return Judged(bundle=one, failure=failure)


def _shown(rows: tuple[Judged, ...]) -> Any:
    return table(
        ("environment", "profile", "release", "signed by"),
        [
            (row.bundle.environment, row.bundle.profile, release(row.bundle.digest), ", ".join(map(str, row.signers)))
            for row in rows
        ],
    )
