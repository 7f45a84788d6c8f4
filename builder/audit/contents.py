"""What a wheel's own papers must say: RECORD, tags, metadata, names of extension modules. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from builder.audit.findings import Finding, finding
from builder.profile import Profile
from builder.wheel import SIGNATURES, RecordRow, WheelFile

STRONG = ("sha256", "sha384", "sha512")
EXTENSION = re.compile(r"(?P<module>.+?)\.(?P<tag>cpython-\d+[a-z]*(?:-[\w-]+)?|pypy[\w-]+|graalpy[\w-]+)\.so")


@dataclass(frozen=True, kw_only=True)
class Body:
    """What one pass over a wheel saw: sizes, hashes by name and algorithm, damaged and native files.

    `modules` are those of the native files that Python imports.
    """

    sizes: Mapping[str, int]
    hashes: Mapping[tuple[str, str], bytes]
    damaged: Collection[str]
    native: Collection[str]
    modules: Collection[str]


def algorithms(wheel: WheelFile) -> Mapping[str, str]:
    """For each file the hash algorithm that RECORD uses for it, where it is one that counts."""
    return {row.path: row.algorithm for row in wheel.record if row.algorithm in STRONG}


def hash_bytes(algorithm: str, data: bytes) -> bytes:
    """The digest of some bytes by one of the algorithms that count."""
    return hashlib.new(algorithm, data).digest()


def judge_record(wheel: WheelFile, body: Body) -> Iterator[Finding]:
    """RECORD against the files, both ways. A signature of RECORD cannot stand in RECORD."""
    exempt = {f"{wheel.dist_info}/{part}" for part in SIGNATURES}
    listed = {row.path for row in wheel.record}
    for name in body.damaged:
        yield finding("member-damaged", "cannot be unpacked", file=name)
    for member in wheel.members:
        if member.name not in listed and member.name not in exempt:
            yield finding("record-unlisted", "is not listed in RECORD", file=member.name)
    for row in wheel.record:
        if row.path in exempt or row.path in body.damaged:
            continue
        if row.path not in body.sizes:
            yield finding("record-absent", "is listed in RECORD and not in the wheel", file=row.path)
        elif row.size is not None and row.size != body.sizes[row.path]:
            message = f"has {body.sizes[row.path]} bytes, RECORD says {row.size}"
            yield finding("record-size", message, file=row.path)
        else:
            yield from _hash(row, body)


def _hash(row: RecordRow, body: Body) -> Iterator[Finding]:
    if row.algorithm not in STRONG or row.digest is None:
        yield finding("record-weak", f"is covered by {row.algorithm or 'no hash'} in RECORD", file=row.path)
    elif body.hashes.get((row.path, row.algorithm)) != _decoded(row.digest):
        yield finding("record-hash", f"does not have the {row.algorithm} that RECORD says", file=row.path)


def _decoded(digest: str) -> bytes | None:
    try:
        return base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4))
    except (binascii.Error, ValueError):
        return None


def judge_metadata(wheel: WheelFile, profile: Profile) -> Iterator[Finding]:
    """Wheel-Version, names and versions, tags and Requires-Python."""
    if not re.fullmatch(r"1\.\d+", wheel.wheel_version):
        yield finding("wheel-version", f"Wheel-Version is {wheel.wheel_version or 'missing'}, not 1.x")
    for what, name, version in (
        ("METADATA", wheel.header("Name"), wheel.header("Version")),
        (wheel.dist_info, *_split_dist_info(wheel.dist_info)),
    ):
        if canonicalize_name(name) != wheel.name or _normal(version) != wheel.version:
            message = f"{what} says {name} {version}, the file name {wheel.name} {wheel.version}"
            yield finding("name-mismatch", message)
    tags = _listed(wheel.tags)
    if wheel.tags.isdisjoint(profile.tags):
        yield finding("tag-unfit", f"{tags}: none is accepted by {profile.name}")
    if wheel.wheel_tags != wheel.tags:
        message = f"the file name says {tags}, WHEEL {_listed(wheel.wheel_tags) or 'nothing'}"
        yield finding("tag-mismatch", message)
    if wheel.requires_python and not _allows(wheel.requires_python, profile.markers["python_full_version"]):
        message = f"asks for Python {wheel.requires_python}, there is {profile.markers['python_full_version']}"
        yield finding("python-unfit", message)


def judge_native(wheel: WheelFile, body: Body, expect_native: bool) -> Iterator[Finding]:
    """Whether there is compiled code where the tag, or whoever asks, says so, and none where not."""
    if expect_native and not body.native:
        yield finding("no-native-code", "no compiled file is inside, and it should have one")
    elif not wheel.is_pure and not body.native:
        yield finding("tag-needless", f"{wheel.filename} names a platform, and no compiled file is inside")
    if wheel.is_pure:
        for name in sorted(body.native):
            if name in body.modules:
                yield finding("pure-with-native", "is an extension module in a wheel for any platform", file=name)
            else:  # debuggers and browser drivers bring one for each platform, and run the one that fits
                yield finding("pure-with-program", "is compiled code that may not run there", file=name)


def judge_extensions(wheel: WheelFile, profile: Profile) -> Iterator[Finding]:
    """Extension modules that the profile's importer overlooks, unless the same module is there for it as well."""
    modules: dict[str, list[str]] = {}
    for member in wheel.members:
        if found := EXTENSION.fullmatch(member.name):
            modules.setdefault(found["module"], []).append(found["tag"])
    wanted = "-".join(filter(None, (f"cpython-{profile.abi[2:]}", profile.triple)))
    for module, tags in modules.items():
        if not any(_imported(tag, profile) for tag in tags):
            file = f"{module}.{tags[0]}.so"
            yield finding("ext-suffix", f"ends for {tags[0]}, {profile.name} imports {wanted}", file=file)


def _imported(tag: str, profile: Profile) -> bool:
    implementation, _, rest = tag.partition("-")
    version, _, triple = rest.partition("-")
    return (implementation, version) == ("cpython", profile.abi[2:]) and triple in ("", profile.triple or triple)


def _split_dist_info(dist_info: str) -> tuple[str, str]:
    name, _, version = dist_info.removesuffix(".dist-info").partition("-")
    return name, version


def _listed(tags: Collection[Tag]) -> str:
    return ", ".join(sorted(map(str, tags)))


def _normal(version: str) -> str:
    try:
        return str(Version(version))
    except InvalidVersion:
        return version


def _allows(specifier: str, version: str) -> bool:
    try:
        return SpecifierSet(specifier).contains(version, prereleases=True)
    except InvalidSpecifier:
        return True  # pip ignores such a line, too
