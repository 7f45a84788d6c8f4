"""What was proved of a bundle before, kept in the store, so that it can be said wherever the bundle is shown."""

from __future__ import annotations

import datetime
from typing import Any

from builder.bundle import Bundle
from builder.files import digest_of
from builder.qualify.emulated import Emulated
from builder.qualify.result import EMULATED, Qualified
from builder.store import Store

KIND, FORMAT = "qualified", 1
UNPROVED = "audited"


def keep(bundle: Bundle, emulated: Emulated, found: Qualified, store: Store) -> None:
    """Keeps how a bundle did on an interpreter; `found` may be its twin's result."""
    moment = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    entry = {"ok": found.ok, "title": found.title, "interpreter": found.interpreter, "at": moment}
    key = _key(bundle)
    with store.lock(f"{KIND}-{key}"):
        known: dict[str, Any] = store.answer(KIND, key) or {}
        store.keep_answer(KIND, key, {**known, digest_of([emulated.identity, found.title]): entry})


def standing(bundle: Bundle, store: Store) -> str:
    """A bundle's proof in a few words: "emulated", "audited; cp311 twin ... emulated", "failed when emulated" ..."""
    known: dict[str, Any] = store.answer(KIND, _key(bundle)) or {}
    if not known:
        return UNPROVED
    latest = max(known.values(), key=lambda entry: str(entry["at"]))
    how = EMULATED if latest["ok"] else "failed when emulated"
    return how if latest["title"] == bundle.profile else f"{UNPROVED}; {latest['title']}: {how}"


def _key(bundle: Bundle) -> str:
    """Digest of what was run: the release, and the checks that came with it."""
    return digest_of([FORMAT, bundle.digest, bundle.manifest["checks"]])
