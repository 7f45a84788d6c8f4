"""pkg-config files of static libraries: moved, and with what only static links need."""

from __future__ import annotations

from pathlib import Path

from builder.toolchain.pkgconfig import relocate, relocated

FREETYPE = """\
prefix=/usr
exec_prefix=/usr
libdir=/usr/lib/arm-linux-gnueabihf
includedir=/usr/include

Name: FreeType 2
Version: 24.3.18
Requires:
Requires.private: zlib, libpng
Libs: -L/usr/lib/arm-linux-gnueabihf -lfreetype
Libs.private: -lm
Cflags: -I${includedir}/freetype2
"""
PNG = """\
prefix=/usr
libdir=${prefix}/lib/arm-linux-gnueabihf
includedir=${prefix}/include/libpng16
Name: libpng
Libs: -L${libdir} -lpng16
Cflags: -I${includedir}
"""


def test_everything_that_a_static_link_needs_is_asked_for() -> None:
    lines = relocated(FREETYPE, Path("/x")).splitlines()
    assert {"prefix=/x", "libdir=/x/lib", "includedir=/x/include", "Requires: zlib, libpng"} <= set(lines)
    assert "Libs: -L${libdir} -lfreetype -lm" in lines
    assert "Cflags: -I${includedir}/freetype2" in lines
    assert not [line for line in lines if "/usr" in line or "private" in line]


def test_a_directory_of_headers_below_include_stays_below_it() -> None:
    assert "includedir=/x/include/libpng16" in relocated(PNG, Path("/x")).splitlines()


def test_a_link_becomes_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "libpng16.pc").write_text(PNG)
    (tmp_path / "libpng.pc").symlink_to("libpng16.pc")
    relocate(tmp_path, Path("/x"))
    both = [(tmp_path / name).read_text() for name in ("libpng.pc", "libpng16.pc")]
    assert both == [relocated(PNG, Path("/x"))] * 2
