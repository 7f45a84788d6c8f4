"""The request `install`: a manifest and blobs that are here become a complete release."""

from __future__ import annotations

import os
import time

from ot2deploy.agent import fields, pip_install, release, statefile, tree_install
from ot2deploy.agent import layout as layouts
from ot2deploy.agent import manifest as manifests
from ot2deploy.agent.refusal import bad_request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ot2deploy.agent.blobs import Blobs
    from ot2deploy.agent.fields import Request
    from ot2deploy.agent.layout import Layout
    from ot2deploy.agent.manifest import Manifest

    Tick = Callable[[str, str], None]  # stage, message


def install(layout: Layout, blobs: Blobs, request: Request, tick: Tick) -> dict[str, Any]:
    """Makes the release of a manifest, or finds it complete already. What was begun and failed is removed."""
    manifest = manifests.check(fields.mapping(request, "manifest"))
    method = request.get("method", "pip")
    if method not in ("pip", "tree"):
        raise bad_request("field method is neither pip nor tree")
    target = layout.release(manifest["environment"], manifest["digest"])
    if layouts.is_complete(target) and layouts.interpreter_works(target):
        _refresh(target, manifest)
        return {"reused": True, "seconds": {"install": 0.0, "compile": 0.0}}
    files = _files(blobs, manifest, method, request)
    release.remove(target)
    try:
        return {"reused": False, "seconds": _fill(layout, target, manifest, method, files, tick)}
    except BaseException:
        release.remove(target)
        raise


def _files(blobs: Blobs, manifest: Manifest, method: str, request: Request) -> list[str]:
    """Paths of the proven wheels, or packs, that the release is made of, in the manifest's order."""
    if method == "pip":
        return blobs.paths("wheels", [(wheel["sha256"], wheel["filename"]) for wheel in manifest["wheels"]])
    packs = fields.items(request, "packs")
    if len(packs) != len(manifest["wheels"]):
        raise bad_request("%d packs for %d wheels" % (len(packs), len(manifest["wheels"])))
    return blobs.paths("packs", [(fields.digest(pack, "sha256"), fields.filename(pack, "packs")) for pack in packs])


def _fill(
    layout: Layout, target: str, manifest: Manifest, method: str, files: list[str], tick: Tick
) -> dict[str, float]:
    start = time.monotonic()
    release.create(target, manifest.get("system_packages", False))
    if method == "tree":
        tree_install.install(target, files)
    elif files:
        pip_install.install(layout, target, files, tick)
    installed = time.monotonic()
    if method == "pip":
        pip_install.compile_release(layout, target, tick)
    compiled = time.monotonic()
    statefile.write(os.path.join(target, layouts.MANIFEST), dict(manifest, install_method=method))
    release.finish(target)
    marked = time.monotonic()
    return {"install": round(installed - start + marked - compiled, 3), "compile": round(compiled - installed, 3)}


def _refresh(target: str, manifest: Manifest) -> None:
    """Brings a reused release's manifest up to date: checks and provenance are outside its digest and may be newer."""
    path = os.path.join(target, layouts.MANIFEST)
    known = statefile.read(path) or {}
    fresh = dict(manifest, install_method=known.get("install_method"))
    if fresh != known:
        statefile.write(path, fresh)
