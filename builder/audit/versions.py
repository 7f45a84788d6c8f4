"""Symbol versions that an ELF file needs, for which symbols, and where they stand in it (LSB, "Symbol Versioning").

pyelftools reads the sections; the tables are unpacked here, because a library like OpenBLAS has tens of thousands of
symbols, and because a repair needs the file offsets of what it changes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from elftools.elf.elffile import ELFFile

VER_FLG_WEAK = 0x2
STB_WEAK = 2
HIDDEN = 0x8000  # bit of a .gnu.version entry that is no part of the index


@dataclass(frozen=True, kw_only=True)
class Need:
    """One version that a file needs of a library (a Vernaux entry), and the symbols that use it.

    `weak` is VER_FLG_WEAK: ld.so loads the file even where the library lacks the version. Whether single symbols are
    weak (STB_WEAK) does not matter to that check: it only decides what an unresolved one means.
    """

    library: str
    version: str
    weak: bool
    strong: tuple[str, ...]
    optional: tuple[str, ...]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Need:
        """The value from its JSON form."""
        return cls(**{**data, "strong": tuple(data["strong"]), "optional": tuple(data["optional"])})


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A Vernaux entry where it stands: `index` is what .gnu.version refers to, `flags_at` a file offset."""

    library: str
    version: str
    flags: int
    index: int
    flags_at: int


@dataclass(frozen=True, kw_only=True)
class Use:
    """A dynamic symbol with the version index it uses, and the file offset of that index."""

    symbol: str
    weak: bool
    index: int
    index_at: int


def section(elf: ELFFile, kind: str) -> Any:
    """The first section of a type, or None."""
    return next((found for found in elf.iter_sections() if found["sh_type"] == kind), None)


def read_needs(elf: ELFFile, data: bytes) -> tuple[Need, ...]:
    """The versions that a file needs, each with its symbols sorted; empty for a file that needs none."""
    needs = {
        entry.index: Need(
            library=entry.library, version=entry.version, weak=bool(entry.flags & VER_FLG_WEAK), strong=(), optional=()
        )
        for entry in read_entries(elf, data)
    }
    strong: dict[int, list[str]] = {index: [] for index in needs}
    optional: dict[int, list[str]] = {index: [] for index in needs}
    for use in read_uses(elf, data) if needs else ():
        if use.index in needs:
            (optional if use.weak else strong)[use.index].append(use.symbol)
    return tuple(
        replace(need, strong=tuple(sorted(strong[index])), optional=tuple(sorted(optional[index])))
        for index, need in needs.items()
    )


def read_entries(elf: ELFFile, data: bytes) -> Iterator[Entry]:
    """The Vernaux entries of .gnu.version_r. Raises struct.error or ValueError for tables that leave the file."""
    found = section(elf, "SHT_GNU_verneed")
    if found is None:
        return
    order = "<" if elf.little_endian else ">"
    names = elf.get_section(found["sh_link"])["sh_offset"]
    at = found["sh_offset"]
    for _ in range(found["sh_info"]):
        _, count, file, first, following = struct.unpack_from(f"{order}HHIII", data, at)
        library, aux = _text(data, names + file), at + first
        for _ in range(count):
            _, flags, index, name, step = struct.unpack_from(f"{order}IHHII", data, aux)
            yield Entry(library=library, version=_text(data, names + name), flags=flags, index=index, flags_at=aux + 4)
            aux += step
        at += following


def read_uses(elf: ELFFile, data: bytes) -> Iterator[Use]:
    """Every dynamic symbol that has a version index."""
    versions, symbols = section(elf, "SHT_GNU_versym"), section(elf, "SHT_DYNSYM")
    if versions is None or symbols is None:
        return
    order = "<" if elf.little_endian else ">"
    names = elf.get_section(symbols["sh_link"])["sh_offset"]
    # name, info and (unused here) value, size, other, shndx: Elf32_Sym is 16 bytes long, Elf64_Sym 24
    layout = struct.Struct(f"{order}IIIBBH" if elf.elfclass == 32 else f"{order}IBBHQQ")
    info = 3 if elf.elfclass == 32 else 1
    start, size = symbols["sh_offset"], symbols["sh_size"]
    for number, fields in enumerate(layout.iter_unpack(data[start : start + size])):
        index_at = versions["sh_offset"] + 2 * number
        (index,) = struct.unpack_from(f"{order}H", data, index_at)
        if index & ~HIDDEN > 1:  # 0 and 1 are local and global without a version
            yield Use(
                symbol=_text(data, names + fields[0]),
                weak=fields[info] >> 4 == STB_WEAK,
                index=index & ~HIDDEN,
                index_at=index_at,
            )


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()
