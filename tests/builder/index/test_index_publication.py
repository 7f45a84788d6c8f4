"""What is published, and in which order files come and go."""

from __future__ import annotations

from pathlib import Path

import pytest
from loopback_index import fill

from builder.index.export.chosen import of_index
from builder.index.publish.publication import Publication, prepare, stale

WHEEL = "demo-1.0-py3-none-any.whl"
PAGES = ("own/simple/demo/index.html", "ot2-py310/simple/demo/index.html")


@pytest.fixture
def publication(tmp_path: Path) -> Publication:
    return prepare(of_index(fill(tmp_path / "index", {"ot2-py310": [WHEEL]}, own=["demo"])), tmp_path / "tree")


def test_wheels_come_first_then_pages_of_which_the_own_ones_then_lists_and_the_sums_last(publication):
    """A private name that is on a profile's page and not yet in the own branch would be looked up elsewhere."""
    paths = [file.path for file in publication.files]
    order = (f"ot2-py310/files/{WHEEL}", *PAGES, "own/simple/index.html", "ot2-py310/simple/index.html", "index.html")
    assert sorted(order, key=paths.index) == list(order)
    assert paths[-1] == "SHA256SUMS"


def test_what_is_stale_goes_the_other_way_round(publication):
    old = [path.replace("demo", "gone") for path in (f"ot2-py310/files/{WHEEL}", *PAGES)]
    kept = ["README.txt", "other/files/x.whl", "other/simple/gone/index.html"]
    assert stale(publication, [*old, *kept, *(file.path for file in publication.files)]) == tuple(reversed(old))
