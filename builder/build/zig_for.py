"""zig for another system than this host, from its wheel: for containers on hosts that are no Linux."""

from __future__ import annotations

import shutil
import zipfile

from builder.build.fetch_wheels import fetch_wheels
from builder.build.request import Uv
from builder.files import locked
from builder.places import cache_root
from builder.profile import Profile
from builder.toolchain.zig import Zig


def zig_for(version: str, profile: Profile, uv: Uv, *, offline: bool = False) -> Zig:
    """The zig of a version that runs on a profile's machine, unpacked once in the cache. Raises BuildFailure."""
    (wheel,) = fetch_wheels([f"ziglang=={version}"], profile, uv, offline=offline)
    directory = cache_root() / "toolchain" / f"zig-{profile.machine}-{wheel.parent.name[:12]}"
    with locked(directory.with_suffix(".lock")):
        if not directory.exists():
            fresh = directory.with_suffix(".part")
            shutil.rmtree(fresh, ignore_errors=True)
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(fresh)
            (fresh / "ziglang" / "zig").chmod(0o755)
            fresh.rename(directory)
    return Zig(path=directory / "ziglang" / "zig", version=version)
