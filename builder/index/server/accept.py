"""Which form of a page a client gets, by its Accept header (PEP 691, RFC 9110 section 12.5.1). Pure."""

from __future__ import annotations

import re
from urllib.parse import unquote

from builder.index.page import HTML_TYPE, JSON_TYPE

PLAIN_HTML = "text/html"
# In the order in which they are taken where a client likes several equally: who says nothing is an old installer or a
# person's browser, and both read text/html.
OFFERED = (PLAIN_HTML, HTML_TYPE, JSON_TYPE)
OF_FORMAT = {
    **{offered: offered for offered in OFFERED},
    "application/vnd.pypi.simple.latest+json": JSON_TYPE,
    "application/vnd.pypi.simple.latest+html": HTML_TYPE,
}
QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")
MOST = 64  # media types that are looked at


def choose(accept: str) -> str | None:
    """The media type to answer with, or None where the client takes none of ours. "" accepts everything."""
    ranges = [entry for part in accept.split(",")[:MOST] if (entry := _range(part))]
    if not ranges:
        return PLAIN_HTML if not accept.strip() else None
    liked = [(_quality(offered, ranges), offered) for offered in OFFERED]
    best = max(quality for quality, _ in liked)
    return next(offered for quality, offered in liked if quality == best) if best > 0 else None


def of_format(query: str) -> str | None:
    """The media type that a `format` in a query names (PEP 691's other way); None where there is none of ours."""
    found = re.search(r"(?:^|&)format=([^&]*)", query)
    return OF_FORMAT.get(unquote(found[1])) if found else None


def wants_json(accept: str) -> bool:
    """Whether an error should be told as JSON."""
    return JSON_TYPE in accept or "application/json" in accept


def _range(part: str) -> tuple[str, float] | None:
    """A media range and its quality; None for what is none."""
    kind, *parameters = (word.strip().lower() for word in part.split(";"))
    if kind.count("/") != 1:
        return None
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            if not QUALITY.fullmatch(value.strip()):
                return None
            quality = float(value)
    return kind.replace("simple.latest+", "simple.v1+"), quality


def _quality(offered: str, ranges: list[tuple[str, float]]) -> float:
    """The quality of the range that fits best: a type itself before `text/*` before `*/*`."""
    for like in (offered, f"{offered.partition('/')[0]}/*", "*/*"):
        found = [quality for kind, quality in ranges if kind == like]
        if found:
            return max(found)
    return 0.0
