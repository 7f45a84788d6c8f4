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
    return (found.use for found in _symbols(elf, data) if found.use.index > 1)


def read_plain(elf: ELFFile, data: bytes) -> tuple[list[str], list[str]]:
    """The dynamic symbols without a version of a needed library: strong ones left undefined, and all defined ones."""
    undefined, defined = [], []
    for found in _symbols(elf, data):
        if found.defined:
            defined.append(found.use.symbol)
        elif found.use.index <= 1 and not found.use.weak and found.use.symbol:
            undefined.append(found.use.symbol)
    return undefined, defined


@dataclass(frozen=True, kw_only=True)
class _Symbol:
    use: Use
    defined: bool


def _symbols(elf: ELFFile, data: bytes) -> Iterator[_Symbol]:
    """Every dynamic symbol; its index is 0 or 1 (local, global) where it has no version."""
    versions, symbols = section(elf, "SHT_GNU_versym"), section(elf, "SHT_DYNSYM")
    if symbols is None:
        return
    order = "<" if elf.little_endian else ">"
    names = elf.get_section(symbols["sh_link"])["sh_offset"]
    # name, info, shndx and (unused here) value, size, other: Elf32_Sym is 16 bytes long, Elf64_Sym 24
    layout = struct.Struct(f"{order}IIIBBH" if elf.elfclass == 32 else f"{order}IBBHQQ")
    info, section_index = (3, 5) if elf.elfclass == 32 else (1, 3)
    start, size = symbols["sh_offset"], symbols["sh_size"]
    for number, fields in enumerate(layout.iter_unpack(data[start : start + size])):
        index_at = versions["sh_offset"] + 2 * number if versions else 0
        index = struct.unpack_from(f"{order}H", data, index_at)[0] & ~HIDDEN if versions else 1
        use = Use(
            symbol=_text(data, names + fields[0]),
            weak=fields[info] >> 4 == STB_WEAK,
            index=index,
            index_at=index_at,
        )
        yield _Symbol(use=use, defined=fields[section_index] != 0)


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()
