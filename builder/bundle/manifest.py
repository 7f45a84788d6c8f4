"""Manifests: what a bundle says of itself (docs/architecture.md, "A manifest"), and the digest that names a release."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builder.environment import NAME, Check, Environment
from builder.errors import BuildFailure
from builder.files import canonical_json, digest_of
from builder.profile import Profile
from builder.store import FILENAME, SHA256, Blob

SCHEMA = 1
LAYOUT = 1  # of a release on the robot; part of the digest
PROFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class BundleFailure(BuildFailure):
    """A bundle file or manifest cannot be used."""

    code = "bundle"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """One environment for one profile: the manifest (JSON values), and its wheels as files, in the same order.

    `signatures` are those of the manifest, as `builder.signing` makes them; nobody has looked at them yet.
    """

    manifest: Mapping[str, Any]
    blobs: tuple[Blob, ...]
    signatures: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The sha256 that names the release made of it."""
        return str(self.manifest["digest"])

    @property
    def environment(self) -> str:
        """The environment's name."""
        return str(self.manifest["environment"])

    @property
    def profile(self) -> str:
        """The profile's name."""
        return str(self.manifest["profile"]["name"])


def assemble(
    environment: Environment,
    profile: Profile,
    wheels: Sequence[Mapping[str, Any]],
    blobs: Sequence[Blob],
    *,
    quick: Iterable[Check],
    as_of: str,
    lock: str,
    provided: Mapping[str, str] | None = None,
) -> Bundle:
    """The bundle of these wheels (rows of a manifest, in the order of `blobs`); `lock` is the lock's digest, `provided`
    names and versions of packages that were left out, being there."""
    manifest = {
        "schema": SCHEMA,
        "layout": LAYOUT,
        "environment": environment.name,
        "abi": profile.key,
        "profile": profile.as_dict(),
        "requirements": list(environment.wanted),
        "variables": dict(environment.variables),
        "system_packages": environment.system_packages,
        "wheels": [dict(row) for row in wheels],
        "checks": {
            "quick": [check.as_dict() for check in quick],
            "deep": [check.as_dict() for check in environment.deep or ()],
            "live": [check.as_dict() for check in environment.live or ()],
        },
        "as_of": as_of,
        "lock": lock,
        "install_method": environment.install_method,
    }
    if environment.shared:
        manifest |= {"shared": True, "constraints": list(environment.constraints), "provided": dict(provided or {})}
    return Bundle(manifest={**manifest, "digest": digest(manifest)}, blobs=tuple(blobs))


def digest(manifest: Mapping[str, Any]) -> str:
    """The digest of a release: what is installed and how it is laid out, not how it was made or is checked."""
    return digest_of(
        {
            "schema": manifest["schema"],
            "layout": manifest["layout"],
            "abi": manifest["abi"],
            "wheels": sorted([row["filename"], row["sha256"]] for row in manifest["wheels"]),
            "variables": manifest["variables"],
            "system_packages": manifest["system_packages"],
        }
    )


def validated(value: Any, origin: str) -> dict[str, Any]:
    """A manifest that came from outside, every name in it safe and its digest right. Raises BundleFailure."""
    if not isinstance(value, dict) or type(value.get("schema")) is not int or type(value.get("layout")) is not int:
        raise BundleFailure(f"{origin} holds no manifest")
    if value["schema"] > SCHEMA or value["layout"] > LAYOUT:
        raise BundleFailure(f"{origin} was made by a newer ot2deploy", next="Upgrade ot2deploy.")
    wrong = sorted(key for key, good in _SHAPES.items() if not _holds(good, value.get(key)))
    if wrong:
        raise BundleFailure(f"{origin}: its manifest is not in order", why=f"Missing or wrong: {', '.join(wrong)}.")
    if len({row["filename"] for row in value["wheels"]}) != len(value["wheels"]):
        raise BundleFailure(f"{origin}: its manifest lists a wheel twice")
    try:
        canonical_json(value)
    except (UnicodeEncodeError, RecursionError) as error:  # half characters, which JSON may have and files cannot
        raise BundleFailure(f"{origin}: its manifest has text that is none", next="Get the file again.") from error
    if digest(value) != value["digest"]:
        raise BundleFailure(f"{origin}: its manifest does not have the digest it states", next="Get the file again.")
    return value


def _holds(good: Callable[[Any], bool], value: Any) -> bool:
    try:
        return good(value)
    except (TypeError, KeyError, AttributeError):
        return False


def _is_row(row: Any) -> bool:
    texts = all(isinstance(row[key], str) for key in ("name", "version", "how"))
    numbers = all(type(row[key]) is int and row[key] >= 0 for key in ("size", "unpacked", "files"))
    named = FILENAME.fullmatch(row["filename"]) and row["filename"].endswith(".whl")
    return bool(texts and numbers and named and SHA256.fullmatch(row["sha256"]) and type(row["requested"]) is bool)


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for pair in value.items() for text in pair)


# What each key of a manifest must hold.
_SHAPES: Mapping[str, Callable[[Any], bool]] = {
    "environment": lambda value: bool(NAME.fullmatch(value)),
    "digest": lambda value: bool(SHA256.fullmatch(value)),
    "abi": lambda value: bool(PROFILE_NAME.fullmatch(value)),
    "profile": lambda value: bool(PROFILE_NAME.fullmatch(value["name"])) and isinstance(value["python"], str),
    "requirements": lambda value: all(isinstance(text, str) for text in value),
    "variables": _is_texts,
    "system_packages": lambda value: type(value) is bool,
    "wheels": lambda value: isinstance(value, list) and all(map(_is_row, value)),
    "checks": lambda value: all(
        isinstance(check["kind"], str) for check in (*value["quick"], *value["deep"], *value.get("live", ()))
    ),
    "install_method": lambda value: value in (None, "pip", "tree"),
}
