"""What was proved of a bundle before, kept in the store, so that it can be said wherever the bundle is shown."""

from __future__ import annotations

import datetime
from typing import Any

from builder.bundle import Bundle
from builder.files import digest_of
from builder.store import Store

KIND, FORMAT = "qualified", 2
UNPROVED, PROVED, FAILED = "audited", "emulated", "failed when emulated"
PARTLY = "emulated, deep checks not run"


def keep(bundle: Bundle, store: Store, *, title: str, interpreter: str, identity: str, ok: bool, whole: bool) -> None:
    """Keeps how a bundle did on an interpreter, whose digest is `identity`; `title` may be that of its twin.

    `whole` says that its deep checks were run, too, or that it has none. What was proved whole stays so when the others
    are run once more and pass.
    """
    moment = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    entry = {"ok": ok, "whole": whole, "title": title, "interpreter": interpreter, "at": moment}
    key, one = _key(bundle), digest_of([identity, title])
    with store.lock(f"{KIND}-{key}"):
        known: dict[str, Any] = store.answer(KIND, key) or {}
        before = known.get(one)
        entry["whole"] = whole or bool(ok and before and before["ok"] and before["whole"])
        store.keep_answer(KIND, key, {**known, one: entry})


def standing(bundle: Bundle, store: Store) -> str:
    """A bundle's proof in a few words: "emulated", "audited; cp311 twin ...: emulated, deep checks not run" ..."""
    known: dict[str, Any] = store.answer(KIND, _key(bundle)) or {}
    if not known:
        return UNPROVED
    latest = max(known.values(), key=lambda entry: str(entry["at"]))
    how = FAILED if not latest["ok"] else PROVED if latest["whole"] else PARTLY
    return how if latest["title"] == bundle.profile else f"{UNPROVED}; {latest['title']}: {how}"


def _key(bundle: Bundle) -> str:
    """Digest of what was run: the release, and the checks that came with it."""
    return digest_of([FORMAT, bundle.digest, bundle.manifest["checks"]])
