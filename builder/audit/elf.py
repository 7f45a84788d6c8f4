"""Facts of one ELF file, read and not judged: what it was compiled for and what it needs to be loaded."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.construct.core import ConstructError
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile

from builder.audit.versions import Need, read_needs, read_plain, section

MAGIC = b"\x7fELF"
LOADABLE = ("ET_DYN", "ET_EXEC")  # relocatable objects (.o) are never loaded
# Where builds happen; a path below one of these is none of the machine where the wheel runs.
BUILD_ROOTS = (b"/home/", b"/root/", b"/Users/", b"/tmp/", b"/builds/", b"/build/", b"/project/", b"/io/", b"/github/")
PATH = re.compile(rb"[\w.+@-]+(?:/[\w.+@-]+)+")
BROUGHT = ("Py", "_Py", "dl", "pthread_")  # what the interpreter has, and libraries that it has loaded
BROKEN = (ELFError, ConstructError, struct.error, UnicodeDecodeError, KeyError, IndexError, ValueError, AttributeError)


class NotElf(ValueError):
    """Bytes that begin as ELF and cannot be read as ELF."""


@dataclass(frozen=True, kw_only=True)
class ArmAttributes:
    """Build attributes of .ARM.attributes ("Addenda to the ABI for the Arm Architecture"); None where not said.

    `cpu` is Tag_CPU_arch (10 = v7, 14 = v8-A), `fp` Tag_FP_arch, `simd` Tag_Advanced_SIMD_arch, `vfp_args`
    Tag_ABI_VFP_args (1 = arguments in VFP registers: hard float).
    """

    cpu: int | None = None
    fp: int | None = None
    simd: int | None = None
    vfp_args: int | None = None


@dataclass(frozen=True, kw_only=True)
class Binary:
    """One ELF file of a wheel: header facts as pyelftools names them, libraries and symbol versions it needs.

    `undefined` are symbols that it needs and that are neither a versioned library's nor Python's.
    """

    file: str
    machine: str
    bits: int
    little_endian: bool
    flags: int
    arm: ArmAttributes | None
    soname: str
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    needs: tuple[Need, ...]
    undefined: tuple[str, ...]
    build_paths: int
    build_path: str

    def as_dict(self) -> dict[str, Any]:
        """The facts as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Binary:
        """The facts from what `as_dict` gave."""
        return cls(
            **{
                **data,
                "arm": ArmAttributes(**data["arm"]) if data["arm"] else None,
                "needed": tuple(data["needed"]),
                "rpath": tuple(data["rpath"]),
                "needs": tuple(Need.from_dict(need) for need in data["needs"]),
                "undefined": tuple(data["undefined"]),
            }
        )


def read_binary(file: str, data: bytes) -> Binary | None:
    """The facts of an ELF file that can be loaded, None for an object file. Raises NotElf."""
    try:
        elf = ELFFile(io.BytesIO(data))
        if elf["e_type"] not in LOADABLE:
            return None
        tags = _dynamic(elf)
        leaked = list(_build_paths(data))
        return Binary(
            file=file,
            machine=str(elf["e_machine"]),
            bits=elf.elfclass,
            little_endian=elf.little_endian,
            flags=elf["e_flags"],
            arm=_arm_attributes(elf),
            soname=next((value for tag, value in tags if tag == "DT_SONAME"), ""),
            needed=tuple(value for tag, value in tags if tag == "DT_NEEDED"),
            rpath=tuple(
                entry for tag, value in tags if tag in ("DT_RPATH", "DT_RUNPATH") for entry in value.split(":") if entry
            ),
            needs=read_needs(elf, data),
            undefined=tuple(sorted(name for name in read_plain(elf, data)[0] if not name.startswith(BROUGHT))),
            build_paths=len(leaked),
            build_path=leaked[0] if leaked else "",
        )
    except BROKEN as error:
        raise NotElf(str(error) or type(error).__name__) from error


def defined_in(data: bytes) -> frozenset[str]:
    """The symbols that an ELF file which `read_binary` could read has for others."""
    return frozenset(read_plain(ELFFile(io.BytesIO(data)), data)[1])


def _dynamic(elf: ELFFile) -> list[tuple[str, str]]:
    """The entries of the dynamic section that hold a name, found by the program headers, as ld.so does."""
    for segment in elf.iter_segments():
        if not isinstance(segment, DynamicSegment):
            continue
        names = {"DT_NEEDED": "needed", "DT_SONAME": "soname", "DT_RPATH": "rpath", "DT_RUNPATH": "runpath"}
        return [
            (tag.entry.d_tag, getattr(tag, names[tag.entry.d_tag]))
            for tag in segment.iter_tags()
            if tag.entry.d_tag in names
        ]
    return []


def _arm_attributes(elf: ELFFile) -> ArmAttributes | None:
    found = section(elf, "SHT_ARM_ATTRIBUTES") if elf["e_machine"] == "EM_ARM" else None
    if found is None:
        return None
    values = {
        attribute.tag: attribute.value
        for vendor in found.iter_subsections()
        for scope in vendor.iter_subsubsections()
        for attribute in scope.iter_attributes()
    }
    return ArmAttributes(
        cpu=values.get("TAG_CPU_ARCH"),
        fp=values.get("TAG_FP_ARCH"),
        simd=values.get("TAG_ADVANCED_SIMD_ARCH"),
        vfp_args=values.get("TAG_ABI_VFP_ARGS"),
    )


def _build_paths(data: bytes) -> Iterator[str]:
    """Absolute paths below the usual build directories that stand in the file as text."""
    for root in BUILD_ROOTS:  # bytes.find is ten times faster than one expression over the whole file
        at = data.find(root)
        while at >= 0:
            if (at == 0 or not chr(data[at - 1]).isalnum()) and (rest := PATH.match(data, at + len(root))):
                yield (root + rest.group()).decode()
                at = rest.end()
            at = data.find(root, at + 1)
