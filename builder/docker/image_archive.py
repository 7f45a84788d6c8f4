"""The file that `docker load` reads: one layer and what the image says of itself."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.files import canonical_json, sha256_bytes, sha256_file

EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, kw_only=True)
class Platform:
    """A machine as Docker names it, such as linux/arm/v7."""

    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, ("linux", self.architecture, self.variant)))


def configuration(
    layer_sha256: str,
    platform: Platform,
    *,
    command: Sequence[str],
    labels: Mapping[str, str],
    environment: Mapping[str, str],
) -> bytes:
    """The image's configuration, as JSON (Docker Image Specification v1.2)."""
    value = {
        "architecture": platform.architecture,
        "os": "linux",
        "created": EPOCH,
        "config": {
            "Cmd": list(command),
            "Env": [f"{name}={text}" for name, text in environment.items()],
            "Labels": dict(labels),
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_sha256}"]},
        "history": [{"created": EPOCH, "created_by": "ot2deploy"}],
    }
    return canonical_json({**value, "variant": platform.variant} if platform.variant else value)


def write(
    target: Path,
    layer: Path,
    platform: Platform,
    *,
    tag: str,
    command: Sequence[str],
    labels: Mapping[str, str],
    environment: Mapping[str, str],
) -> str:
    """Writes the archive of an image with one layer (a plain tar); returns the image's id."""
    config = configuration(sha256_file(layer), platform, command=command, labels=labels, environment=environment)
    identity = sha256_bytes(config)
    manifest = [{"Config": f"{identity}.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]
    with tarfile.open(target, "w") as archive:
        for name, content in ((f"{identity}.json", config), ("manifest.json", canonical_json(manifest))):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        archive.add(layer, "layer.tar")
    return f"sha256:{identity}"
