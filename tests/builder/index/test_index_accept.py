"""Which form of a page a client gets."""

from __future__ import annotations

import pytest

from builder.index.page import HTML_TYPE, JSON_TYPE
from builder.index.server.accept import choose, of_format

PIP = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (PIP, JSON_TYPE), (BROWSER, "text/html"), ("", "text/html"), ("  ", "text/html"), ("*/*", "text/html"),
        ("text/*", "text/html"), ("application/*", HTML_TYPE), (f"{JSON_TYPE};q=0, */*", "text/html"),
        ("text/html;q=0.5, */*;q=0.4", "text/html"), ("text/html;q=0.3, */*;q=0.4", HTML_TYPE),
        (f"{HTML_TYPE}, {JSON_TYPE}", HTML_TYPE), (f"{JSON_TYPE}; charset=x ; q=1.0", JSON_TYPE),
        ("APPLICATION/VND.PYPI.SIMPLE.V1+JSON", JSON_TYPE), ("application/vnd.pypi.simple.latest+json", JSON_TYPE),
        ("text/html;q=nan, application/vnd.pypi.simple.v1+json;q=0.1", JSON_TYPE),
        ("application/json", None), ("image/png", None), ("text/html;q=0", None), ("*/*;q=0.000", None),
        ("application/vnd.pypi.simple.v2+json", None), ("gibberish", None), (",,;;==", None),
    ],
)  # fmt: skip
def test_the_form_that_a_client_likes_best(accept, chosen):
    assert choose(accept) == chosen


def test_a_query_may_name_it():
    assert of_format("format=application/vnd.pypi.simple.v1+json") == JSON_TYPE
    assert of_format("a=b&format=application%2Fvnd.pypi.simple.latest%2Bhtml") == HTML_TYPE
    assert of_format("format=application%2fvnd.pypi.simple.v1%2bjson") == JSON_TYPE
    assert of_format("format=application/json") is None
    assert of_format("informat=text/html") is None
