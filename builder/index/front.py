"""The first page of an index, for people: its branches, and how pip is told of them. Pure."""

from __future__ import annotations

import html
from collections.abc import Iterable

from builder.index.layout import Branch

HEAD = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Python packages for OT-2 robots</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:50em;margin:2em auto;padding:0 1em}
code,pre{background:#8882;padding:.1em .3em}pre{padding:.6em;overflow-x:auto}</style></head><body>
<h1>Python packages for OT-2 robots</h1>
<p>One branch for each profile, the kind of robot. A robot's pip installs from its own one:</p>
<pre>pip install NAME --index-url <span class="here"></span>PROFILE/simple/<span class="trust"></span></pre>
<ul>
"""
TAIL = """\
</ul>
<script>
const here = new URL(".", location.href), say = (where, text) => { document.querySelector(where).textContent = text }
say(".here", here.href)
// pip passes over a server without TLS unless it is told to trust it.
if (here.protocol === "http:" && here.hostname !== "localhost") say(".trust", ` --trusted-host ${here.hostname}`)
</script>
</body></html>
"""


def front(branches: Iterable[Branch]) -> bytes:
    """The page as HTML; its links are relative, and the address in its command is where it was opened."""
    rows = [f'<li><a href="{html.escape(str(one.simple))}/">{html.escape(str(one))}</a></li>\n' for one in branches]
    return "".join([HEAD, *rows, TAIL]).encode()
