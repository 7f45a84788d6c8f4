"""Comments below an entry of a YAML file that grows: they are about what follows, and stay in front of that.

ruamel keeps such lines with the last value above them, so that a key that is added would come after them.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def kept_below(entry: Any, *, margin_only: bool = False) -> Iterator[None]:
    """Members may be added to `entry`, a mapping of ruamel's, while the block runs; what stood below it stays so.

    With `margin_only` that is what begins with a comment at the left margin: lines further in are the last member's.
    """
    tail = _cut(entry, margin_only=margin_only) if entry else ""
    yield
    if tail:
        _put(entry, tail)


def _cut(entry: Any, *, margin_only: bool) -> str:
    """Takes away the lines below an entry; a comment beside its last value stays."""
    holder, key, slot = _last(entry)
    tokens = holder.ca.items.get(key)
    token = tokens[slot] if tokens else None
    if token is None:
        return ""
    beside, _, below = str(token.value).partition("\n")
    kept = ""
    if margin_only:
        margin = re.search(r"^\n*#", below, re.M)
        kept, below = below[: margin.start()] if margin else below, below[margin.start() :] if margin else ""
    if not below:
        return ""
    if beside.strip() or kept:
        token.value = f"{beside}\n{kept}"
    else:
        tokens[slot] = None
    return below


def _put(entry: Any, lines: str) -> None:
    from ruamel.yaml.error import CommentMark
    from ruamel.yaml.tokens import CommentToken

    holder, key, slot = _last(entry)
    tokens = holder.ca.items.setdefault(key, [None, None, None, None])
    beside = tokens[slot].value.rstrip("\n") if tokens[slot] else ""
    tokens[slot] = CommentToken(f"{beside}\n{lines}", CommentMark(0), None)


def _last(entry: Any) -> tuple[Any, Any, int]:
    """Where the comment behind an entry's last value is: its holder, its key there, and which of the key's comments."""
    is_list = isinstance(entry, list)
    key = len(entry) - 1 if is_list else [*entry][-1]
    inner = entry[key]
    if isinstance(inner, dict | list) and inner and not inner.fa.flow_style():  # type: ignore[union-attr]
        return _last(inner)
    return entry, key, 0 if is_list else 2
