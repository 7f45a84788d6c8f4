"""Zip files that any reader reads, and whose bytes no host decides."""

from __future__ import annotations

import hashlib
import io
import random
import sys
import zipfile

import pytest

from builder.errors import BuildFailure, MissingExtra
from builder.wheel.zip_writer import ZipWriter

NOISE = random.Random(7).randbytes(5000)
FILES = {"a/text.py": b"VALUE = 1\n" * 500, "a/empty.py": b"", "a/noise.so": NOISE, "a/nöte.txt": b"ok"}


def written() -> bytes:
    file = io.BytesIO()
    archive = ZipWriter(file)
    for name, data in FILES.items():
        archive.add(name, data, mode=0o755 if name.endswith(".so") else 0o644)
    archive.finish()
    return file.getvalue()


def test_the_standard_library_reads_it() -> None:
    with zipfile.ZipFile(io.BytesIO(written())) as archive:
        assert archive.testzip() is None
        assert {info.filename: archive.read(info) for info in archive.infolist()} == FILES
        facts = {info.filename: (info.compress_type, info.external_attr >> 16) for info in archive.infolist()}
        times = {info.date_time for info in archive.infolist()}
    assert facts == {
        "a/text.py": (zipfile.ZIP_DEFLATED, 0o100644),
        "a/empty.py": (zipfile.ZIP_STORED, 0o100644),
        "a/noise.so": (zipfile.ZIP_STORED, 0o100755),  # deflated it would be larger
        "a/nöte.txt": (zipfile.ZIP_STORED, 0o100644),
    }
    assert times == {(1980, 1, 1, 0, 0, 0)}


def test_the_bytes_are_these_on_every_host() -> None:
    assert hashlib.sha256(written()).hexdigest() == "540148f4febe9f64685099ae582fc3163e35b21afe2b4533b06fa704061cdac4"


def test_what_needs_zip64_is_refused() -> None:
    archive = ZipWriter(io.BytesIO())
    for number in range(0x10000):
        archive.add(str(number), b"")
    with pytest.raises(BuildFailure, match="65536 files"):
        archive.finish()


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deflate", None)
    with pytest.raises(MissingExtra, match="deflate is not installed"):
        ZipWriter(io.BytesIO())
