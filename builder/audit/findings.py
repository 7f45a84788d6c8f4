"""Every finding that an audit can have: its stable id, how grave it is, what it means; the docs are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ERROR, WARNING, NOTE = "error", "warning", "note"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One result of auditing a wheel: `file` is the member it is about, empty for the wheel as a whole."""

    id: str
    severity: str
    file: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}: " if self.file else ""
        return f"{self.severity}: {where}{self.message} ({self.id})"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What all findings of one id have in common. An error refuses the wheel; warnings and notes do not."""

    severity: str
    meaning: str


def _kinds(severity: str, **meanings: str) -> dict[str, Kind]:
    return {name.replace("_", "-"): Kind(severity=severity, meaning=meaning) for name, meaning in meanings.items()}


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        **_kinds(
            ERROR,
            not_a_wheel="The file is no readable wheel: no zip, a name that is not a wheel's, or metadata missing.",
            file_sha256="The file does not have the sha256 that it was promised to have.",
            member_unsafe="A member has an absolute path, leaves the wheel, is a symbolic link, or stands there twice.",
            member_damaged="A member cannot be unpacked.",
            record_hash="A file's hash is not the one in RECORD.",
            record_size="A file's size is not the one in RECORD.",
            record_weak="RECORD gives a file no hash, or one weaker than sha256.",
            record_unlisted="A file is not listed in RECORD.",
            record_absent="RECORD lists a file that the wheel does not have.",
            wheel_version="Wheel-Version is missing or is not 1.x; pip refuses such a wheel.",
            name_mismatch="Name or version in METADATA, or the .dist-info directory, is not the file name's.",
            tag_unfit="No tag in the file name is one that pip accepts there.",
            python_unfit="Requires-Python excludes the Python there.",
            no_native_code="The wheel should have compiled code and has none: the build fell back to pure Python.",
            pure_with_native="The tag says any platform, and an extension module is inside.",
            binary_foreign="A library or extension module is of another operating system.",
            elf_malformed="A file begins as ELF and cannot be read as ELF.",
            elf_machine="Compiled for another kind of machine.",
            elf_class="Compiled for another word size or byte order.",
            elf_float_abi="32-bit ARM code that is not of the hard-float EABI 5.",
            elf_cpu_newer="The code was compiled for a newer CPU than there is: it would die with SIGILL.",
            elf_missing_lib="A shared library is needed that is neither on the system nor in the wheel.",
            elf_undefined="A symbol is needed that nothing has which is loaded with it: the import would fail.",
            ext_suffix="An extension module whose name ends for another Python or platform: it is never imported.",
            glibc_too_new="A symbol version of a newer glibc is needed: ld.so would not load the file.",
            glibc_private="A private symbol of one glibc release is needed.",
            libstdcxx_too_new="A symbol version of a newer libstdc++ or libgcc is needed: it would not load.",
        ),
        **_kinds(
            WARNING,
            tag_mismatch="The tags in the file name are not those in WHEEL: was the file renamed?",
            tag_needless="The tag names a platform, and no compiled code is inside.",
            pure_with_program="The tag says any platform, and there is compiled code inside, none that Python imports.",
            glibc_weak="A weak symbol of a newer glibc: the file loads, and must do without it.",
            elf_rpath_absolute="Libraries are searched in an absolute directory, likely one of the build machine.",
            build_path="Paths of the machine that built it stand in the code.",
        ),
        **_kinds(
            NOTE,
            binary_unused="A program of another operating system that nothing there runs.",
            binaries_unread="Compiled code is not read for this profile: its binaries are not ELF.",
            libstdcxx_unknown="Needs of libstdc++ were not compared: the profile names no version.",
        ),
    }
)


def finding(id: str, message: str, *, file: str = "") -> Finding:
    """A finding of a known id, with the severity that the table gives it."""
    return Finding(id=id, severity=KINDS[id].severity, file=file, message=message)


def reference() -> str:
    """The table of all findings as Markdown, for the documentation."""
    rows = [f"| `{known}` | {kind.severity} | {kind.meaning} |" for known, kind in KINDS.items()]
    return "\n".join(["| finding | severity | meaning |", "| --- | --- | --- |", *rows]) + "\n"
