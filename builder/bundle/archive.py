"""`.ot2bundle` files: one zip (stored) with a blob per wheel; a manifest, its signatures and a pylock per profile."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from builder import places
from builder.bundle.manifest import Bundle, BundleFailure, validated
from builder.files import CHUNK, canonical_json, disk_failures, replacing
from builder.store import Blob, Store

EPOCH = (1980, 1, 1, 0, 0, 0)
MEMBER = re.compile(
    r"blobs/[0-9a-f]{64}|manifests/[A-Za-z0-9][A-Za-z0-9._-]*\.json|pylock\.[A-Za-z0-9][A-Za-z0-9_-]*\.toml"
    r"|signatures/[A-Za-z0-9][A-Za-z0-9._-]*\.[0-9]{1,2}\.sig"
)
MANIFEST_LIMIT = 16 << 20  # bytes
SIGNATURE_LIMIT = 64 << 10
SIGNATURES = 100  # of one manifest
BLOB_LIMIT = 4 << 30
LIMITS = {"blobs": BLOB_LIMIT, "signatures": SIGNATURE_LIMIT}  # of a file, by its directory; else that of a manifest


def write(bundles: Sequence[Bundle], path: Path) -> None:
    """Writes bundles of one environment for different profiles, whole or not at all; equal bundles give equal bytes.

    Raises BundleFailure when two are for the same profile or a wheel's bytes are no longer those of the manifest,
    DiskFailure when the file cannot be written.
    """
    if len({bundle.profile for bundle in bundles}) != len(bundles) or not bundles:
        raise BundleFailure("a bundle file holds one bundle for each profile")
    ordered = sorted(bundles, key=lambda bundle: bundle.profile)
    blobs = {blob.sha256: blob for bundle in ordered for blob in bundle.blobs}
    with (
        disk_failures(path),
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        for bundle in ordered:
            archive.writestr(_info(f"manifests/{bundle.profile}.json"), manifest_bytes(bundle.manifest))
            for number, signature in enumerate(bundle.signatures[:SIGNATURES]):
                archive.writestr(_info(_signature_name(bundle.profile, number)), signature.encode())
            archive.writestr(_info(pylock_name(bundle)), pylock(bundle))
        for sha256, blob in sorted(blobs.items()):
            _write_blob(archive, sha256, blob)


def read(path: Path, store: Store | None = None) -> tuple[Bundle, ...]:
    """The bundles of a file, their wheels taken into the store (default: the user's) and checked on the way.

    Raises BundleFailure for what is no bundle file, is damaged, or was made by a newer ot2deploy; AuditFailure for a
    wheel in it that is none.
    """
    store = store or Store(places.cache_root() / "store")
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path.name)
            manifests = [_manifest(archive, members[name], path.name) for name in members if name.startswith("manif")]
            if not manifests:
                raise BundleFailure("holds no manifest", subject=path.name)
            return tuple(_bundle(archive, members, manifest, store, path.name) for manifest in manifests)
    except OSError as error:
        raise BundleFailure(f"cannot be read: {error.strerror or error}", subject=path.name) from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise BundleFailure(
            "is no bundle file, or is damaged", subject=path.name, why=str(error), next="Get or make it again."
        ) from error


def manifest_bytes(manifest: Mapping[str, Any]) -> bytes:
    """A manifest as it stands in a bundle file: equal manifests are equal bytes, and these are what is signed."""
    return json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False).encode()


def pylock_name(bundle: Bundle) -> str:
    """The name of a bundle's lock inside the file; PEP 751 allows no further dot in it."""
    return f"pylock.{re.sub(r'[^A-Za-z0-9_-]', '-', f'{bundle.environment}-{bundle.profile}')}.toml"


def pylock(bundle: Bundle) -> bytes:
    """The bundle as a PEP 751 lock whose wheels have a `path`, for pip and uv in the directory it is unpacked to."""
    lines = ['lock-version = "1.0"', 'created-by = "ot2deploy"', ""]
    for row in sorted(bundle.manifest["wheels"], key=lambda row: str(row["name"])):
        wheel = (
            f"{{ name = {_text(row['filename'])}, path = {_text('blobs/' + row['sha256'])}, size = {row['size']}, "
            f"hashes = {{ sha256 = {_text(row['sha256'])} }} }}"
        )
        lines += ["[[packages]]", f"name = {_text(row['name'])}", f"version = {_text(row['version'])}"]
        lines += [f"wheels = [{wheel}]", ""]
    return "\n".join(lines).encode()


def _members(archive: zipfile.ZipFile, origin: str) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        if not MEMBER.fullmatch(info.filename) or info.filename != info.orig_filename or info.filename in found:
            raise BundleFailure(f"holds {info.filename[:80]!r}, which no bundle has", subject=origin)
        # Stored only: the sizes are then those of the file itself, and nothing can swell while it is read.
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.flag_bits & 1:
            raise BundleFailure(f"{info.filename} is compressed or encrypted", subject=origin)
        if info.file_size > LIMITS.get(info.filename.partition("/")[0], MANIFEST_LIMIT):
            raise BundleFailure(f"{info.filename} is too large", subject=origin)
        found[info.filename] = info
    return found


def _manifest(archive: zipfile.ZipFile, info: zipfile.ZipInfo, origin: str) -> dict[str, Any]:
    try:
        value = json.loads(archive.read(info))
    except (ValueError, RecursionError) as error:
        raise BundleFailure(f"{info.filename} is not JSON: {error}", subject=origin) from error
    manifest = validated(value, f"{origin}: {info.filename}")
    if info.filename != f"manifests/{manifest['profile']['name']}.json":
        raise BundleFailure(f"{info.filename} is for {manifest['profile']['name']}", subject=origin)
    return manifest


def _bundle(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], manifest: dict[str, Any], store: Store, origin: str
) -> Bundle:
    blobs = []
    for row in manifest["wheels"]:
        info = members.get(f"blobs/{row['sha256']}")
        if info is None or info.file_size != row["size"]:
            raise BundleFailure(f"{row['filename']} is missing or cut off in it", subject=origin)
        blobs.append(_extract(archive, info, row, store, origin))
    return Bundle(
        manifest=manifest, blobs=tuple(blobs), signatures=_signatures(archive, members, manifest["profile"]["name"])
    )


def _signatures(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], profile: str) -> tuple[str, ...]:
    """What the file has as signatures of a profile's manifest; whether they are any is not known yet."""
    names = (_signature_name(profile, number) for number in range(SIGNATURES))
    return tuple(archive.read(members[name]).decode("utf-8", "replace") for name in names if name in members)


def _signature_name(profile: str, number: int) -> str:
    return f"signatures/{profile}.{number}.sig"


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, row: dict[str, Any], store: Store, origin: str) -> Blob:
    known = store.blob(row["sha256"])
    if known and known.filename == row["filename"]:
        return known
    found = hashlib.sha256()
    with store.incoming(row["filename"]) as path:
        with path.open("wb") as out:
            for chunk in _chunks(archive, info):
                out.write(chunk)
                found.update(chunk)
        if found.hexdigest() != row["sha256"]:
            raise BundleFailure(f"{row['filename']} in it is damaged", subject=origin, next="Get the file again.")
        return store.adopt(path, how=row["how"], facts={"bundle": origin}, sha256=row["sha256"])


def _chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(info) as member:
        while chunk := member.read(CHUNK):
            yield chunk


def _write_blob(archive: zipfile.ZipFile, sha256: str, blob: Blob) -> None:
    found = hashlib.sha256()
    info = _info(f"blobs/{sha256}")
    info.file_size = blob.size
    with archive.open(info, "w") as out, blob.path.open("rb") as file:
        while chunk := file.read(CHUNK):
            out.write(chunk)
            found.update(chunk)
    if found.hexdigest() != sha256:
        blob.path.unlink(missing_ok=True)  # its size and time may look right: the store would go on trusting it
        raise BundleFailure(f"{blob.filename} in the store is damaged", next="Run the command again; it is got anew.")


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, EPOCH)
    info.create_system = 3
    info.external_attr = 0o100644 << 16
    return info


def _text(value: str) -> str:
    """A TOML basic string; JSON escapes the same characters."""
    return canonical_json(value).decode()
