"""Results as text: plain in a pipe, whole rows, empty columns left out; amounts as people read them."""

import io

import pytest
from rich.console import Console

from ot2deploy.cli import render, units
from ot2deploy.cli.result import Answer, Shown, envelope, lines, table


def drawn(capsys, *parts):
    render.result(Shown(result=Answer(data={}), parts=parts))
    return capsys.readouterr().out


def test_a_table_in_a_pipe(capsys):
    part = table(("robot", "sent", "note"), [("otto", "96", ""), ("luigi", "3", "")], title="push", right=("sent",))
    assert drawn(capsys, part).splitlines() == ["push", "robot  sent", "otto     96", "luigi     3"]


def test_a_long_row_is_not_folded_in_a_pipe(capsys):
    out = drawn(capsys, table(("a", "b"), [("x" * 150, "y" * 150)]))
    assert "x" * 150 + "  " + "y" * 150 in out


def on_terminal(part, width):
    out = io.StringIO()
    render._print_table(Console(file=out, force_terminal=True, color_system=None, width=width), part)
    return out.getvalue()


def test_a_table_that_is_too_wide_for_the_terminal_becomes_paragraphs():
    part = table(("robot", "release", "why"), [("otto", "0123456789ab", "x" * 60), ("luigi", "", "short")])
    assert on_terminal(part, 60).splitlines() == [
        "otto", "  release  0123456789ab", "  why      " + "x" * 60, "luigi", "  why      short",
    ]  # fmt: skip
    assert "otto" in on_terminal(part, 100).splitlines()[2]


def test_a_terminal_that_is_too_narrow_does_without_spare_columns_first():
    rows = [("otto", "ot2-py310", "pushed", "12"), ("luigi", "ot2-py310", "failed", "")]
    part = table(("robot", "profile", "outcome", "sent"), rows, spare=("profile", "sent"))
    seen = {width: on_terminal(part, width).splitlines() for width in (60, 28, 18, 12)}
    assert seen[60][0].split() == ["robot", "profile", "outcome", "sent"]
    assert seen[28][0].split() == ["robot", "outcome", "sent"]
    assert seen[18][0].split() == ["robot", "outcome"]
    assert "  profile  ot2-py310" in seen[12]


def test_long_texts_are_wrapped_where_a_table_says_so(capsys):
    why = " ".join(["word"] * 60)
    part = table(("package", "why"), [("numpy 2.2.6", why), ("ujson 6.0.0", "short")], folded=("why",))
    out = drawn(capsys, part).splitlines()
    assert max(map(len, out)) <= render.PAGE_WIDTH
    assert [line.split("  ")[0] for line in out if not line.startswith(" ")] == [
        "package",
        "numpy 2.2.6",
        "ujson 6.0.0",
    ]
    assert " ".join(out).split().count("word") == 60
    assert max(map(len, on_terminal(part, 60).splitlines())) <= 60
    assert "  why      short" in on_terminal(part, 30).splitlines()


def test_brackets_are_text(capsys):
    assert drawn(capsys, lines("ot2deploy[all] [bold]x")) == "ot2deploy[all] [bold]x\n"


def test_the_document_has_result_or_error():
    document = envelope("env list", exit_code=0, result={"a": 1}, error=None)
    assert document == {
        "schema": 1, "command": "env list", "ok": True, "exit_code": 0, "result": {"a": 1}, "error": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (812, "812 B"),
        (8_500_000, "8.5 MB"),
        (47_100_000, "47.1 MB"),
        (169_000_000, "169 MB"),
        (2e12, "2000 GB"),
    ],
)
def test_sizes(count, text):
    assert units.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.004, "0.00 s"), (0.5, "0.5 s"), (4.24, "4.2 s"), (38.4, "38 s"), (125, "2 min 05 s")]
)
def test_times(seconds, text):
    assert units.seconds(seconds) == text


def test_counts():
    assert [units.count(n, "robot") for n in (0, 1, 2)] == ["0 robots", "1 robot", "2 robots"]


def test_a_cell_steers_no_terminal(capsys):
    part = table(("package", "by"), [("numpy\x1b[2J", "a\x07\nb\tc")])
    assert drawn(capsys, part).splitlines() == ["package    by", "numpy?[2J  a?", "           b c"]
