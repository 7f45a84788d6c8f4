"""What was proved of a bundle before, kept in the store, so that it can be said wherever the bundle is shown."""

from __future__ import annotations

import datetime
from typing import Any

from builder.bundle import Bundle
from builder.files import digest_of
from builder.store import Store

KIND, FORMAT = "qualified", 1
UNPROVED, PROVED, FAILED = "audited", "emulated", "failed when emulated"


def keep(bundle: Bundle, store: Store, *, title: str, interpreter: str, identity: str, ok: bool) -> None:
    """Keeps how a bundle did on an interpreter, whose digest is `identity`; `title` may be that of its twin."""
    moment = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    entry = {"ok": ok, "title": title, "interpreter": interpreter, "at": moment}
    key = _key(bundle)
    with store.lock(f"{KIND}-{key}"):
        known: dict[str, Any] = store.answer(KIND, key) or {}
        store.keep_answer(KIND, key, {**known, digest_of([identity, title]): entry})


def standing(bundle: Bundle, store: Store) -> str:
    """A bundle's proof in a few words: "emulated", "audited; cp311 twin ... emulated", "failed when emulated" ..."""
    known: dict[str, Any] = store.answer(KIND, _key(bundle)) or {}
    if not known:
        return UNPROVED
    latest = max(known.values(), key=lambda entry: str(entry["at"]))
    how = PROVED if latest["ok"] else FAILED
    return how if latest["title"] == bundle.profile else f"{UNPROVED}; {latest['title']}: {how}"


def _key(bundle: Bundle) -> str:
    """Digest of what was run: the release, and the checks that came with it."""
    return digest_of([FORMAT, bundle.digest, bundle.manifest["checks"]])
