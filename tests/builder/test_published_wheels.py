"""Wheels as the index really has them: which fit an OT-2, which can be repaired, which are refused and why."""

from __future__ import annotations

from pathlib import Path

import pytest
from index_wheels import published

from builder.audit import audit
from builder.profile import load
from builder.repair import RepairRefused, repair
from builder.wheel import WheelFile

pytestmark = pytest.mark.network
OT2, DEBIAN = load("ot2-py310"), load("debian-12-armhf")
CRYPTOGRAPHY = (
    "cryptography",
    "cryptography-44.0.2-cp39-abi3-manylinux_2_28_armv7l.manylinux_2_31_armv7l.whl",
    "d1c3572526997b36f245a96a2b1713bf79ce99b271bbcf084beb6b9b075f29ea",
)
GRPCIO = (
    "grpcio",
    "grpcio-1.85.1-cp310-cp310-linux_armv7l.whl",
    "4c684af6972a6c22a049003830e2c78ee8c40623bc8d1106e4b4d2b955549bcd",
)


def test_cryptography_is_a_little_too_new_and_can_be_repaired(shared_cache: Path, tmp_path: Path) -> None:
    path = published(shared_cache, *CRYPTOGRAPHY)
    assert audit(path, DEBIAN).ok
    before = audit(path, OT2)
    assert [finding.id for finding in before.errors] == ["tag-unfit", "glibc-too-new"]
    result = repair(path, tmp_path, OT2)
    assert result.path.name == "cryptography-44.0.2-cp39-abi3-manylinux_2_25_armv7l.whl"
    assert [change.partition(": ")[2].partition(":")[0] for change in result.changes[:2]] == [
        "fcntl@GLIBC_2.28 -> GLIBC_2.4",
        "statx@GLIBC_2.28 may stay away (weak)",
    ]
    assert [f.message for f in result.audit.findings if f.id == "glibc-weak"] == [
        "statx@GLIBC_2.28 is not there and may stay away"
    ]
    assert WheelFile.open(result.path).top_level == ("cryptography",)


def test_grpcio_claims_to_fit_and_is_refused_by_its_needs(shared_cache: Path, tmp_path: Path) -> None:
    path = published(shared_cache, *GRPCIO)
    assert {finding.id for finding in audit(path, OT2).errors} == {"glibc-too-new", "libstdcxx-too-new"}
    with pytest.raises(RepairRefused) as caught:
        repair(path, tmp_path, OT2)
    details = "\n".join(caught.value.details)
    assert "pthread_create@GLIBC_2.34" in details
    assert "GLIBCXX_3.4.29" in details
