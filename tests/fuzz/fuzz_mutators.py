"""Changes an input a little, knowing what it is made of: frames with JSON, zip archives, tar archives.

Each takes an input, a random.Random and a function that changes bytes blindly; the same three give the same result.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import zipfile
from collections.abc import Callable
from typing import Any

Blind = Callable[[bytes], bytes]
Frames = list[tuple[bytes, bytes]]

HEADER = re.compile(rb"([JBH]) ([0-9]{1,9})\n")
DEEP = "[" * 3000 + "]" * 3000
NAMES = (
    "", ".", "..", "../x", "../../../../../tmp/evil", "/etc/evil", "a/../../x", "a\0b", "a\nb", "\x1b[2J", "\ud800",
    "\u202e", "con", "a" * 300, "a" * 70_000, "~", "-rf", "$(x)", "*", "bin/python3", "pyvenv.cfg", "complete",
    "current", "lib/python3.11/site-packages/x.pth", "./x", "x/", "x//y", "\\..\\x", "demo.dist-info/RECORD", "é" * 120,
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**70, 10**400, 1.5, 1e308, float("nan"), float("inf"), [], {}, [[]],
    [None], {"": None}, "x", *NAMES,
)  # fmt: skip


def frames(data: bytes, rng: random.Random, blind: Blind) -> bytes:
    """Changes a conversation: requests inside, their order, a payload, or the bytes of a header."""
    parts = _frames(data)
    if parts is None or not parts or rng.random() < 0.1:
        return blind(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        _change_frames(parts, rng, blind)
        if not parts:
            break
    _mend(parts, rng)
    made = b"".join(b"%s %d\n%s" % (kind, len(payload), payload) for kind, payload in parts)
    return made if rng.random() < 0.97 else made[: rng.randrange(len(made) + 1)]


def _frames(data: bytes) -> Frames | None:
    found: Frames = []
    while data:
        header = HEADER.match(data)
        if not header:
            return None
        end = header.end() + int(header[2])
        found.append((header[1], data[header.end() : end]))
        data = data[end:]
    return found


def _change_frames(parts: Frames, rng: random.Random, blind: Blind) -> None:
    at = rng.randrange(len(parts))
    kind, payload = parts[at]
    chance = rng.random()
    if chance < 0.06:
        del parts[at]
    elif chance < 0.12:
        parts.insert(rng.randrange(len(parts) + 1), (kind, payload))
    elif chance < 0.18:
        other = rng.randrange(len(parts))
        parts[at], parts[other] = parts[other], parts[at]
    elif chance < 0.22:
        parts.insert(at, (rng.choice((b"J", b"B", b"H")), blind(payload)))
    elif kind == b"J" and chance < 0.94:
        parts[at] = kind, json_text(payload, rng, blind)
    else:
        parts[at] = kind, blind(payload)


def _mend(parts: Frames, rng: random.Random) -> None:
    """Mostly makes hashes and sizes right again, or what lies behind them would never be reached."""
    for at in range(len(parts) - 1):
        (kind, text), (following, payload) = parts[at], parts[at + 1]
        if (kind, following) == (b"J", b"B") and rng.random() < 0.8:
            value = parsed(text)
            if isinstance(value, dict) and value.get("op") == "blob":
                sha256 = hashlib.sha256(payload).hexdigest()
                before = str(value.get("sha256"))
                parts[at] = kind, _dumped({**value, "sha256": sha256, "size": len(payload)})
                if len(before) == 64:
                    parts[:] = [(k, p.replace(before.encode(), sha256.encode()) if k == b"J" else p) for k, p in parts]
    for at, (kind, text) in enumerate(parts):
        if kind == b"J" and b'"manifest"' in text and rng.random() < 0.8:
            value = parsed(text)
            if isinstance(value, dict) and mend_manifest(value.get("manifest")):
                parts[at] = kind, _dumped(value)


def mend_manifest(manifest: Any) -> bool:
    """Gives a manifest the digest of its contents, where it has any."""
    try:
        told = {key: manifest.get(key) for key in ("schema", "layout", "abi")}
        told["wheels"] = sorted([row["filename"], row["sha256"]] for row in manifest["wheels"])
        told |= {
            "variables": manifest.get("variables") or {},
            "system_packages": manifest.get("system_packages", False),
        }
        text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        manifest["digest"] = hashlib.sha256(text).hexdigest()
    except (TypeError, KeyError, AttributeError, ValueError):
        return False
    return True


def json_text(text: bytes, rng: random.Random, blind: Blind) -> bytes:
    """Changes one value of a JSON text, or its bytes."""
    value = parsed(text)
    if value is None or rng.random() < 0.06:
        return blind(text)
    if rng.random() < 0.02:
        return DEEP.encode()
    return _dumped(_changed(value, rng))


def parsed(text: bytes) -> Any:
    """A JSON text's value; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def _changed(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        chance = rng.random()
        if chance < 0.1:
            return {name: one for name, one in value.items() if name != key}
        if chance < 0.15:
            return {**value, rng.choice(NAMES): value[key]}
        if chance < 0.2:
            return {**value, key: value[rng.choice(list(value))]}
        return {**value, key: _changed(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        chance = rng.random()
        if chance < 0.1:
            return value[:at] + value[at + 1 :]
        if chance < 0.2:
            return [*value, value[at]]
        return [*value[:at], _changed(value[at], rng), *value[at + 1 :]]
    if isinstance(value, str) and value and rng.random() < 0.4:
        at = rng.randrange(len(value) + 1)
        return value[:at] + rng.choice((*NAMES[:12], "x", "0")) + value[at + rng.randrange(3) :]
    return rng.choice(VALUES)


def zip_file(data: bytes, rng: random.Random, blind: Blind) -> bytes:
    """Changes a zip archive: its members' names, contents and kinds, or its bytes."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info, archive.read(info)) for info in archive.infolist()]
    except Exception:  # whatever zipfile makes of what was changed before
        return blind(data)
    if not members or rng.random() < 0.2:
        return blind(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        _change_members(members, rng, blind)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for info, content in members:
            try:
                archive.writestr(info, content)
            except (ValueError, UnicodeError, RuntimeError, NotImplementedError):
                continue
    return out.getvalue()


def _change_members(members: list[tuple[zipfile.ZipInfo, bytes]], rng: random.Random, blind: Blind) -> None:
    if not members:
        return
    at = rng.randrange(len(members))
    info, content = members[at]
    chance = rng.random()
    if chance < 0.08:
        del members[at]
    elif chance < 0.2:
        members.append((_info(rng.choice(NAMES)[:60_000]), content))
    elif chance < 0.25:
        members[at] = _info(info.filename, zipfile.ZIP_DEFLATED), content
    elif chance < 0.3:
        other = _info(info.filename)
        other.external_attr = rng.choice((0o120777 << 16, 0o40755 << 16, 0o100777 << 16, 1 << 31))
        members[at] = other, content
    elif info.filename.startswith("blobs/"):
        changed = blind(content)
        before, after = (hashlib.sha256(one).hexdigest() for one in (content, changed))
        members[at] = _info(f"blobs/{after}"), changed
        for index, (other, text) in enumerate(members):
            if other.filename.startswith("manifests/"):
                size = b'"size": %d' % len(content), b'"size": %d' % len(changed)
                members[index] = other, _mended(text.replace(before.encode(), after.encode()).replace(*size))
    elif info.filename.endswith(".json"):
        text = json_text(content, rng, blind)
        members[at] = info, _mended(text) if rng.random() < 0.8 else text
    else:
        members[at] = info, blind(content)


def _mended(text: bytes) -> bytes:
    value = parsed(text)
    return _dumped(value) if mend_manifest(value) else text


def _info(name: str, method: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x")
    info.filename = name.encode("utf-8", "replace").decode()
    info.compress_type = method
    info.external_attr = 0o100644 << 16
    return info


def tar_file(data: bytes, rng: random.Random, blind: Blind) -> bytes:
    """Changes a tar archive: one header, mostly with a right checksum, or its bytes."""
    starts = [at for at in range(0, len(data) - 511, 512) if data[at + 257 : at + 262] == b"ustar"]
    if not starts or rng.random() < 0.2:
        return blind(data)
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.choice(starts)
        header = changed[at : at + 512]
        field, size, content = _field(rng)
        header[field : field + size] = content[:size].ljust(size, b"\0")
        if rng.random() < 0.9:
            header[148:156] = b"%06o\0 " % (sum(header) - sum(header[148:156]) + 8 * 32)
        changed[at : at + 512] = header
    if rng.random() < 0.1:
        at = rng.choice(starts)
        return bytes(changed[:at] + changed[at : at + 512] + changed[at:])
    return bytes(changed)


def _field(rng: random.Random) -> tuple[int, int, bytes]:
    chance = rng.random()
    if chance < 0.5:
        return 0, 100, rng.choice(NAMES)[:100].encode("utf-8", "replace")
    if chance < 0.65:
        return 124, 12, rng.choice((b"0", b"1", b"777", b"77777777777", b"-1", b"x", b"4000", b"200\0", b" 7 "))
    if chance < 0.8:
        return 156, 1, rng.choice((b"0", b"1", b"2", b"3", b"5", b"6", b"7", b"L", b"K", b"x", b"g", b"\0", b"S"))
    if chance < 0.9:
        return 100, 8, rng.choice((b"0", b"7777777", b"4755", b"-1", b"x"))
    return 345, 155, rng.choice(NAMES)[:155].encode("utf-8", "replace")
