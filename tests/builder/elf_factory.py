"""Small ELF files with exactly the facts that a test asks for; readable by pyelftools, never loaded."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

ARM, AARCH64, X86_64 = 40, 183, 62
HARD = 0x05000400  # EABI 5, hard float
SOFT = 0x05000200
V7 = {6: 10, 10: 5, 12: 2, 28: 1}  # Tag_CPU_arch v7, Tag_FP_arch VFPv4, Tag_Advanced_SIMD_arch NEONv1 + FMA, VFP args
V8 = {6: 14, 10: 7, 12: 3, 28: 1}
DT = {"needed": 1, "soname": 14, "rpath": 15, "runpath": 29}


@dataclass(frozen=True, kw_only=True)
class Elf:
    """What the file says of itself. `needs`: (library, version) -> {symbol: weak}; `flagged`: versions flagged weak.

    `undefined`: symbols without a version, whether weak; `defines`: those that it has.
    """

    machine: int = ARM
    bits: int = 32
    big_endian: bool = False
    kind: int = 3  # ET_DYN
    flags: int = HARD
    attributes: Mapping[int, int] | None = field(default_factory=lambda: dict(V7))
    needed: tuple[str, ...] = ("libc.so.6",)
    soname: str = ""
    rpath: str = ""
    needs: Mapping[tuple[str, str], Mapping[str, bool]] = field(default_factory=dict)
    flagged: tuple[str, ...] = ()
    undefined: Mapping[str, bool] = field(default_factory=dict)
    defines: tuple[str, ...] = ()
    text: bytes = b""


class _Strings:
    def __init__(self) -> None:
        self.data = bytearray(b"\0")

    def add(self, text: str) -> int:
        at = len(self.data)
        self.data += text.encode() + b"\0"
        return at


def elf(**facts: object) -> bytes:
    """The bytes of an ELF file; keywords are the fields of `Elf`."""
    spec = Elf(**facts)  # type: ignore[arg-type]
    order, wide = ">" if spec.big_endian else "<", spec.bits == 64
    strings = _Strings()
    dynamic = _dynamic(spec, strings, order)
    symbols, versions, needs, files = _versions(spec, strings, order)
    # name, type, content, link, info, entry size
    sections: list[tuple[str, int, bytes, int, int, int]] = [("", 0, b"", 0, 0, 0)]
    if spec.text:
        sections.append((".rodata", 1, spec.text, 0, 0, 0))
    dynstr = len(sections)
    sections.append((".dynstr", 3, bytes(strings.data), 0, 0, 0))
    sections.append((".dynsym", 11, symbols, dynstr, 1, 24 if wide else 16))
    if files:
        sections.append((".gnu.version", 0x6FFFFFFF, versions, dynstr + 1, 0, 2))
        sections.append((".gnu.version_r", 0x6FFFFFFE, needs, dynstr, files, 0))
    sections.append((".dynamic", 6, dynamic, dynstr, 0, 16 if wide else 8))
    if spec.attributes is not None:
        sections.append((".ARM.attributes", 0x70000003, _attributes(spec.attributes, order), 0, 0, 0))
    return _file(spec, sections, order, wide)


def _dynamic(spec: Elf, strings: _Strings, order: str) -> bytes:
    entries = [(DT["needed"], strings.add(name)) for name in spec.needed]
    if spec.soname:
        entries.append((DT["soname"], strings.add(spec.soname)))
    if spec.rpath:
        entries.append((DT["runpath"], strings.add(spec.rpath)))
    layout = f"{order}QQ" if spec.bits == 64 else f"{order}II"
    return b"".join(struct.pack(layout, *entry) for entry in [*entries, (0, 0)])


def _versions(spec: Elf, strings: _Strings, order: str) -> tuple[bytes, bytes, bytes, int]:
    """The contents of .dynsym, .gnu.version and .gnu.version_r, and the number of libraries in the last."""
    symbols, versions, index = [_symbol(spec, 0, 0, order)], [0], 2
    for symbol, weak in spec.undefined.items():
        symbols.append(_symbol(spec, strings.add(symbol), 2 if weak else 1, order))
    symbols += [_symbol(spec, strings.add(symbol), 1, order, section=1) for symbol in spec.defines]
    versions += [1] * (len(symbols) - 1)
    libraries: dict[str, list[tuple[str, int]]] = {}
    for (library, version), uses in spec.needs.items():
        libraries.setdefault(library, []).append((version, index))
        for symbol, weak in uses.items():
            symbols.append(_symbol(spec, strings.add(symbol), 2 if weak else 1, order))
            versions.append(index)
        index += 1
    blocks = []
    for number, (library, wanted) in enumerate(libraries.items()):
        last = number == len(libraries) - 1
        size = 16 * (1 + len(wanted))
        head = struct.pack(f"{order}HHIII", 1, len(wanted), strings.add(library), 16, 0 if last else size)
        tails = [
            struct.pack(
                f"{order}IHHII",
                0,
                2 if version in spec.flagged else 0,
                at,
                strings.add(version),
                0 if place == len(wanted) - 1 else 16,
            )
            for place, (version, at) in enumerate(wanted)
        ]
        blocks.append(head + b"".join(tails))
    packed = struct.pack(f"{order}{len(versions)}H", *versions)
    return b"".join(symbols), packed, b"".join(blocks), len(libraries)


def _symbol(spec: Elf, name: int, bind: int, order: str, section: int = 0) -> bytes:
    info = bind << 4 | 2  # STT_FUNC
    if spec.bits == 64:
        return struct.pack(f"{order}IBBHQQ", name, info, 0, section, 0, 0)
    return struct.pack(f"{order}IIIBBH", name, 0, 0, info, 0, section)


def _attributes(values: Mapping[int, int], order: str) -> bytes:
    pairs = b"".join(bytes(pair) for pair in values.items())
    scope = b"\x01" + struct.pack(f"{order}I", len(pairs) + 5) + pairs
    vendor = b"aeabi\0" + scope
    return b"A" + struct.pack(f"{order}I", len(vendor) + 4) + vendor


def _file(spec: Elf, sections: list[tuple[str, int, bytes, int, int, int]], order: str, wide: bool) -> bytes:
    names = _Strings()
    sections = [*sections, (".shstrtab", 3, b"", 0, 0, 0)]
    labels = [names.add(section[0]) for section in sections]
    sections[-1] = (".shstrtab", 3, bytes(names.data), 0, 0, 0)
    header_size, program_size, section_size = (64, 56, 64) if wide else (52, 32, 40)
    body, headers, dynamic = bytearray(), [], (0, 0)
    for label, (name, kind, content, link, info, entry) in zip(labels, sections, strict=True):
        body += b"\0" * (-len(body) % 8)
        at = header_size + program_size + len(body)
        body += content
        if name == ".dynamic":
            dynamic = (at, len(content))
        layout = f"{order}IIQQQQIIQQ" if wide else f"{order}IIIIIIIIII"
        headers.append(struct.pack(layout, label, kind, 0, at, at, len(content), link, info, 8, entry))
    at, size = dynamic
    program = (
        struct.pack(f"{order}IIQQQQQQ", 2, 6, at, at, at, size, size, 8)
        if wide
        else struct.pack(f"{order}IIIIIIII", 2, at, at, at, size, size, 6, 8)
    )
    ident = b"\x7fELF" + bytes([2 if wide else 1, 2 if spec.big_endian else 1, 1]) + b"\0" * 9
    counts = (header_size, program_size, 1, section_size, len(sections), len(sections) - 1)
    rest = struct.pack(
        f"{order}HHI{'QQQ' if wide else 'III'}IHHHHHH",
        spec.kind,
        spec.machine,
        1,
        0,
        header_size,
        header_size + program_size + len(body),
        spec.flags if spec.machine == ARM else 0,
        *counts,
    )
    return ident + rest + program + bytes(body) + b"".join(headers)
