"""The reader of packs: what tarfile writes comes out the same, and what is damaged or foreign is refused."""

import gzip
import io
import random
import tarfile

import pytest

from ot2deploy.agent import tar


def written(files: dict[str, bytes], format: int = tarfile.GNU_FORMAT) -> bytes:
    """An archive of these files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=format) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755 if name.startswith("bin/") else 0o644
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def read(data: bytes) -> dict[str, tuple[int, bytes]]:
    """Modes and contents by name."""
    return {member.name: (member.mode, b"".join(member.content)) for member in tar.members(io.BytesIO(data))}


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_files_of_every_size_and_long_names_come_out_as_they_went_in(format: int) -> None:
    chance = random.Random(7)
    sizes = [0, 1, 511, 512, 513, tar.CHUNK - 1, tar.CHUNK, tar.CHUNK + 1, 3 * tar.CHUNK + 77]
    files = {f"lib/{'d' * 60}/{number:03}{'n' * 60}.py": chance.randbytes(size) for number, size in enumerate(sizes)}
    files |= {"bin/tool": b"#!x\n", "lib/ünï.txt": b"1"}
    assert read(written(files, format)) == {
        name: (0o755 if name.startswith("bin/") else 0o644, data) for name, data in files.items()
    }


def test_what_the_caller_does_not_read_is_passed_over() -> None:
    data = written({"a": b"x" * 100_000, "b": b"y"})
    assert [member.name for member in tar.members(io.BytesIO(data))] == ["a", "b"]


def test_an_archive_cut_anywhere_is_an_error() -> None:
    whole = written({"a": random.Random(1).randbytes(3000), "b": b"y" * 700})
    for end in range(0, len(whole) - 8, 97):
        with pytest.raises(tar.TarError):
            read(whole[:end])


def test_damaged_bytes_are_an_error_or_the_same_files() -> None:
    chance = random.Random(3)
    files = {"a": chance.randbytes(3000), "b": b"y" * 700}
    plain = gzip.decompress(written(files))
    for _ in range(300):
        damaged = bytearray(plain)
        damaged[chance.randrange(512)] ^= 1 << chance.randrange(8)  # in the first header
        with pytest.raises(tar.TarError):
            read(gzip.compress(bytes(damaged)))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, b"x", b"g", b"K"]
)
def test_other_kinds_of_members_are_refused(kind: bytes) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.GNU_FORMAT) as archive:
        info = tarfile.TarInfo("strange")
        info.type = kind
        archive.addfile(info)
    with pytest.raises(tar.TarError, match="neither a file nor a directory"):
        read(out.getvalue())
