"""Patches fit exactly, say where they do not, and stay inside the source."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from builder.source.patches import PatchFailure, apply

OLD = "".join(f"line {number}\n" for number in range(1, 41))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "tree"
    (path / "src").mkdir(parents=True)
    (path / "src" / "x.c").write_text(OLD)
    return path


def diff(old: str, new: str, *, before: str = "a/src/x.c", after: str = "b/src/x.c") -> str:
    lines = difflib.unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), before, after)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def write(tree: Path, text: str, name: str = "x.patch") -> Path:
    path = tree.parent / name
    path.write_text(text)
    return path


def test_several_hunks_in_a_source_whose_lines_have_moved(tree: Path) -> None:
    new = OLD.replace("line 3\n", "three\nand more\n").replace("line 30\n", "").replace("line 39\n", "39\n")
    (tree / "src" / "x.c").write_text("moved\n" * 7 + OLD)
    (tree / "src" / "x.c").chmod(0o755)
    apply(tree, [write(tree, "From a mail\n\n" + diff(OLD, new))])
    assert (tree / "src" / "x.c").read_text() == "moved\n" * 7 + new
    assert (tree / "src" / "x.c").stat().st_mode & 0o777 == 0o755


def test_one_patch_after_the_other_and_files_that_come_and_go(tree: Path) -> None:
    first = write(tree, diff(OLD, OLD + "end"), "1.patch")
    made = diff("", "new\n", before="/dev/null", after="b/new/y.h")
    gone = diff(OLD + "end", "", after="/dev/null")
    apply(tree, [first])
    assert (tree / "src" / "x.c").read_text() == OLD + "end"
    apply(tree, [write(tree, gone + made, "2.patch")])
    assert [path.name for path in tree.rglob("*") if path.is_file()] == ["y.h"]
    assert (tree / "new" / "y.h").read_text() == "new\n"


def test_line_ends_are_the_sources_own(tree: Path) -> None:
    (tree / "src" / "x.c").write_bytes(b"a\r\nb\x0cb\nc")
    apply(
        tree,
        [
            write(
                tree,
                "--- a/src/x.c\n+++ b/src/x.c\n@@ -1,3 +1,3 @@\n a\r\n-b\x0cb\n+B\n c\n\\ No newline at end of file\n",
            )
        ],
    )
    assert (tree / "src" / "x.c").read_bytes() == b"a\r\nB\nc"


def test_a_series_in_one_file(tree: Path) -> None:
    once = OLD.replace("line 3\n", "three\n")
    apply(tree, [write(tree, diff(OLD, once) + diff(once, once.replace("three", "3")))])
    assert (tree / "src" / "x.c").read_text() == OLD.replace("line 3\n", "3\n")


def test_what_does_not_fit_names_patch_file_and_hunk_and_leaves_the_file(tree: Path) -> None:
    other = OLD.replace("line 38\n", "other\n")
    new = other.replace("line 3\n", "three\n").replace("line 37\n", "37\n")
    with pytest.raises(PatchFailure, match=r"x.patch does not apply: src/x.c, hunk 2 of 2") as raised:
        apply(tree, [write(tree, diff(other, new))])
    assert raised.value.details[0].startswith("@@")
    assert (tree / "src" / "x.c").read_text() == OLD


@pytest.mark.parametrize("name", ["a/../../outside", "a/link/outside", "outside"])
def test_nothing_outside_is_written(tree: Path, name: str) -> None:
    (tree / "link").symlink_to(tree.parent)
    with pytest.raises(PatchFailure, match="not in the source"):
        apply(tree, [write(tree, diff("", "x\n", before="/dev/null", after=name))])
    assert not (tree.parent / "outside").exists()


@pytest.mark.parametrize(
    "text", ["", "no diff\n", "--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@\n x\n", "--- a/y\n+++ b/y\n@@ -1 +1 @@\n-x\n+y\n"]
)
def test_what_is_no_diff_or_of_no_file(tree: Path, text: str) -> None:
    with pytest.raises(PatchFailure, match=r"x\.patch"):
        apply(tree, [write(tree, text)])
