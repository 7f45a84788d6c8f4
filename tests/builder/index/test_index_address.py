"""What addresses mean."""

from __future__ import annotations

import pytest

from builder.index.layout import Branch
from builder.index.server.address import Elsewhere, Front, Health, Legacy, Listing, Mirrored, Wheel, parse

PY310 = Branch(profile="ot2-py310")
DEV = Branch(profile="ot2-py310", channel="dev")
SHA = "0" * 64


@pytest.mark.parametrize(
    ("path", "meaning"),
    [
        ("/", Front()),
        ("/index.html", Front()),
        ("/-/health", Health()),
        ("/ot2-py310/simple/", Listing(branch=PY310)),
        ("/ot2-py310/simple/index.json", Listing(branch=PY310, form="json")),
        ("/ot2-py310/simple/demo/", Listing(branch=PY310, name="demo")),
        ("/ot2-py310/simple/demo/index.html", Listing(branch=PY310, name="demo", form="html")),
        ("/ot2-py310/dev/simple/demo/", Listing(branch=DEV, name="demo")),
        ("/own/simple/", Listing(branch=Branch(profile="own"))),
        ("/own/dev/simple/demo/", Listing(branch=Branch(profile="own", channel="dev"), name="demo")),
        ("/ot2-py310/simple/simple/", Listing(branch=PY310, name="simple")),
        ("/ot2-py310/simple/legacy/", Listing(branch=PY310, name="legacy")),
        ("/ot2-py310/simple/files/", Listing(branch=PY310, name="files")),
        ("/ot2-py310/files/x-1%2Bl-py3-none-any.whl", Wheel(profile="ot2-py310", filename="x-1+l-py3-none-any.whl")),
        ("/ot2-py310/mirror/" + SHA + "/x.whl", Mirrored(profile="ot2-py310", sha256=SHA, filename="x.whl")),
        ("/legacy/", Legacy(words=())),
        ("/ot2-py310/legacy/", Legacy(words=("ot2-py310",))),
        ("/ot2-py310/dev/legacy/", Legacy(words=("ot2-py310", "dev"))),
        ("/legacy", Elsewhere(location="legacy/")),
        ("/ot2-py310/dev/legacy", Elsewhere(location="legacy/")),
        ("/ot2-py310/simple", Elsewhere(location="simple/")),
        ("/ot2-py310/dev/simple", Elsewhere(location="simple/")),
        ("/ot2-py310/simple/Demo", Elsewhere(location="demo/")),
        ("/ot2-py310/simple/De.mo__X/", Elsewhere(location="../de-mo-x/")),
        ("/ot2-py310/simple/De.mo/index.json", Elsewhere(location="../de-mo/index.json")),
    ],
)  # fmt: skip
def test_an_address_means_one_thing(path, meaning):
    assert parse(path.encode()) == meaning


@pytest.mark.parametrize(
    "path",
    [
        "", "x", "//", "/ot2-py310", "/ot2-py310/", "/ot2-py310/files/", "/ot2-py310/dev/files/x.whl", "/index.json",
        "/.lock", "/ot2-py310/files/.x.part", "/ot2-py310/simple/.x.part", "/../x", "/ot2-py310/files/..",
        "/ot2-py310/files/%2e%2e", "/ot2-py310/files/%252e%252e%252fx", "/ot2-py310/files/..%2f..%2fx",
        "/ot2-py310%2fsimple/", "/ot2-py310/files/a%00b", "/ot2-py310/files/a\\b", "/ot2-py310/files/a%5cb",
        "/ot2-py310/files/%ff", "/ot2-py310/files/%E2%80%A6", "/ot2-py310/files//etc/passwd", "//etc/passwd",
        "/ot2-py310//simple/", "/ot2-py310/prod/simple/", "/ot2-py310/Dev/simple/", "/a/b/c/simple/", "/a/b/c/legacy/",
        "/ot2-py310/simple/-x-/", "/ot2-py310/simple/a/b/", "/ot2-py310/mirror/" + "A" * 64 + "/x", "/-/", "/-/other",
        "/ot2-py310/files/" + "a" * 300, "/ot2-py310/mirror/../x", "http://index.example/ot2-py310/simple/", "*",
    ],
)  # fmt: skip
def test_what_is_no_address_means_nothing(path):
    assert parse(path.encode()) is None
