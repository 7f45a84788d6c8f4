"""The audit of a wheel of the store: made once for a profile, and remembered."""

from __future__ import annotations

from builder.audit import Audit
from builder.engine import Engine
from builder.files import digest_of
from builder.profile import Profile
from builder.store import Blob


def audited(blob: Blob, profile: Profile, engine: Engine, *, expect_native: bool = False) -> Audit:
    """What the audit says of a wheel, from the store when it was made before by the same tools."""
    # The file's name is judged, too, so the same bytes under another name are another question.
    key = digest_of([blob.sha256, blob.filename, profile.key, engine.tools.versions, expect_native])
    known = engine.store.answer("audit", key)
    if known and (found := Audit.from_dict(known)):
        return found
    found = engine.tools.audit(blob.path, profile, expect_native=expect_native)
    engine.store.keep_answer("audit", key, found.as_dict())
    return found
