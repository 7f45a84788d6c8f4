"""Text for a terminal: names, messages and logs come from robots, archives and other people's programs."""

from __future__ import annotations

import re

# What moves the cursor, colours, renames the window or answers in our name (C0 without tab and newline, DEL, C1), and
# what shows letters in another order than they stand in.
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text with a question mark for each letter that would steer a terminal; tabs and line ends stay."""
    return STEERING.sub("?", text)


def one_line(text: str) -> str:
    """The text as one line of what can be shown, a question mark for each letter that cannot."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))
