"""Wheels that are only a little too new: symbol versions of a newer glibc taken back where that is known to be safe.

Two edits, both in place, so that no offset of the file changes:

- a version that only weak symbols use gets VER_FLG_WEAK: ld.so then loads the file, the symbol stays unresolved, and
  the code asks for it before it calls it, as it must with any weak symbol;
- a strong symbol that stands in TWINS is pointed at the version of the same symbol that glibc had before.

Anything else is refused. A repaired wheel has another platform tag or build tag, never the name of the original.
The method was checked with versions renamed to ones that no glibc has: ld.so refuses such files before the repair,
and loads them after it.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from elftools.elf.elffile import ELFFile

from builder.audit import Audit, audit, proven_platform
from builder.audit.elf import read_binary
from builder.audit.runtimes import glibc_version
from builder.audit.versions import VER_FLG_WEAK, Entry, Use, read_entries, read_uses
from builder.errors import AuditFailure
from builder.files import sha256_file
from builder.profile import Profile
from builder.wheel import WheelFile
from builder.wheel.sbom import Part, pypi_url, sbom
from builder.wheel.writer import renamed, rewrite

# The first version of every symbol that a port of glibc had from its beginning.
FIRST_VERSION = {"armv7l": "GLIBC_2.4", "aarch64": "GLIBC_2.17", "x86_64": "GLIBC_2.2.5"}
_MATH = "The newer one only no longer calls the SVID error handler (matherr), which no library sets."
_LOCKS = "The newer one differs for F_OFD_* locks with 32-bit offsets only; all other commands are the same."
# (symbol, newer version) -> why the first version of the symbol does as well. Short on purpose: an entry is added
# after reading glibc's sources at both versions, and it holds for every port that has both.
TWINS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("fcntl", "GLIBC_2.28"): _LOCKS,
        **{(name, "GLIBC_2.27"): _MATH for name in ("expf", "exp2f", "logf", "log2f", "powf")},
        **{(name, "GLIBC_2.29"): _MATH for name in ("exp", "exp2", "log", "log2", "pow")},
    }
)
REPAIRED = "repaired"
# What a repair cures; any other error of the original refuses it.
CURED = ("glibc-too-new", "tag-unfit")


class RepairRefused(AuditFailure):
    """A wheel that cannot be made to fit; `details` name the symbols or the findings that stand against it."""

    code = "repair-refused"


@dataclass(frozen=True, kw_only=True)
class Repaired:
    """A wheel that fits, with what was changed; without changes `path` is the original."""

    path: Path
    changes: tuple[str, ...]
    audit: Audit


@dataclass(frozen=True, kw_only=True)
class Patch:
    """The 16-bit words to write into one ELF file, by offset, a line for each change, symbols that stay too new."""

    words: Mapping[int, int]
    changes: tuple[str, ...]
    refused: tuple[str, ...]


def repair(path: Path, out_dir: Path, profile: Profile) -> Repaired:
    """Writes a copy of a wheel that fits a profile into `out_dir`. Raises RepairRefused, and AuditFailure for no wheel.

    The copy's platform tag is the one that its files prove, else linux_<machine>; its audit has no error.
    """
    before = audit(path, profile)
    if before.ok:
        return Repaired(path=path, changes=(), audit=before)
    wheel = WheelFile.open(path)
    patches = {binary.file: _patch_of(wheel, binary.file, profile) for binary in before.binaries}
    refused = (
        *(str(found) for found in before.errors if found.id not in CURED),
        *(f"{file}: {symbol}" for file, patch in patches.items() for symbol in patch.refused),
    )
    if refused:
        raise RepairRefused(
            f"cannot be repaired for {profile.name}",
            subject=path.name,
            why="What stands above is of a newer system, or wrong, in a way that no older symbol version cures.",
            next="Constrain the package to an older version, or let it be built from its source.",
            details=refused,
        )
    return _write(wheel, out_dir, profile, patches)


def _write(wheel: WheelFile, out_dir: Path, profile: Profile, patches: Mapping[str, Patch]) -> Repaired:
    """Writes the copy under the tag that its patched files prove, and insists on a clean audit."""

    def change(name: str, data: bytes) -> bytes:
        return apply(patches[name], data) if name in patches else data

    patched = [read_binary(file, change(file, wheel.read(file))) for file in patches]
    platform = proven_platform(filter(None, patched), profile)
    same_name = renamed(wheel.filename, platform=platform) == wheel.filename
    build = f"{wheel.build or 0}{REPAIRED}" if same_name else None  # a build tag begins with a digit
    old = wheel.filename.removesuffix(".whl").split("-")[-1]
    made = [f"{file}: {line}" for file, patch in patches.items() for line in patch.changes]
    changes = (*made, f"platform tag {old} -> {platform}")
    bill = sbom(wheel, [_original(wheel)], changes=changes)
    path = rewrite(wheel, out_dir, platform=platform, build=build, change=change, added=[bill])
    after = audit(path, profile)
    if not after.ok:
        path.unlink()
        details = tuple(map(str, after.errors))
        raise RepairRefused("still does not fit after the repair", subject=wheel.filename, details=details)
    return Repaired(path=path, changes=changes, audit=after)


def _original(wheel: WheelFile) -> Part:
    """The wheel as it was published, which stays what it is by its hash."""
    purl = pypi_url(wheel.name, wheel.version, wheel.filename)
    return Part(role="original", name=wheel.name, version=wheel.version, purl=purl, sha256=sha256_file(wheel.path))


def _patch_of(wheel: WheelFile, file: str, profile: Profile) -> Patch:
    data = wheel.read(file)
    elf = ELFFile(io.BytesIO(data))
    return plan(tuple(read_entries(elf, data)), tuple(read_uses(elf, data)), profile)


def plan(entries: tuple[Entry, ...], uses: tuple[Use, ...], profile: Profile) -> Patch:
    """What to change in one file so that nothing in it is too new for the profile. Pure."""
    words: dict[int, int] = {}
    changes: list[str] = []
    refused: list[str] = []
    for entry in entries:
        if not _too_new(entry, profile):
            continue
        strong = False
        for use in (use for use in uses if use.index == entry.index):
            if twin := _twin(entry, use, entries, profile):
                words[use.index_at] = twin.index
                changes.append(f"{use.symbol}@{entry.version} -> {twin.version}: {TWINS[use.symbol, entry.version]}")
            elif use.weak:
                changes.append(f"{use.symbol}@{entry.version} may stay away (weak)")
            else:
                strong = True
                refused.append(f"{use.symbol}@{entry.version} ({entry.library})")
        if not strong:  # flagged, the entry would let the file load and crash at the first call of a strong symbol
            words[entry.flags_at] = entry.flags | VER_FLG_WEAK
    return Patch(words=words, changes=tuple(changes), refused=tuple(refused))


def apply(patch: Patch, data: bytes) -> bytes:
    """The bytes of a file with a patch applied. Every profile's machines are little-endian."""
    changed = bytearray(data)
    for at, word in patch.words.items():
        struct.pack_into("<H", changed, at, word)
    return bytes(changed)


def _too_new(entry: Entry, profile: Profile) -> bool:
    release = glibc_version(entry.version)
    return release is not None and profile.glibc is not None and release > profile.glibc


def _twin(entry: Entry, use: Use, entries: tuple[Entry, ...], profile: Profile) -> Entry | None:
    """The entry of the same library for the symbol's first version, where the table says that it will do."""
    if (use.symbol, entry.version) not in TWINS:
        return None
    wanted = (entry.library, FIRST_VERSION.get(profile.machine))
    return next((other for other in entries if (other.library, other.version) == wanted), None)
