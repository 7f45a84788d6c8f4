"""HTML as a tree of elements: all text is escaped where the tree is written, so that none can become markup."""

from __future__ import annotations

from xml.etree.ElementTree import Element, tostring


def element(tag: str, *children: Element | str | None, **attributes: str) -> Element:
    """An element with its children in order; None is left out. In names of attributes _ is written as -."""
    made = Element(tag, {name.rstrip("_").replace("_", "-"): harmless(value) for name, value in attributes.items()})
    last: Element | None = None
    for child in children:
        if isinstance(child, Element):
            made.append(child)
            last = child
        elif child is not None and last is None:
            made.text = (made.text or "") + harmless(child)
        elif child is not None and last is not None:
            last.tail = (last.tail or "") + harmless(child)
    return made


def harmless(text: str) -> str:
    """Text whose control characters are to be seen instead of doing something. Line ends stay."""
    return "".join(_letter(letter) for letter in text.expandtabs())


def written(page: Element) -> bytes:
    """A whole document as UTF-8."""
    return b"<!DOCTYPE html>\n" + tostring(page, encoding="unicode", method="html").encode() + b"\n"


def _letter(letter: str) -> str:
    """A letter, or its number as programmers write it: few fonts have pictures of control characters."""
    if letter.isprintable() or letter == "\n":
        return letter
    number = ord(letter)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
