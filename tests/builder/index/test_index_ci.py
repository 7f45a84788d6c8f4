"""The names that continuous integration publishes under."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from builder.errors import UsageFailure
from builder.index.layout import channel, channel_of
from builder.index.publish.ci import Build, channel_of_ref

SHA = "0123456789abcdef0123456789abcdef01234567"


def test_a_build_has_the_tag_that_earlier_builders_gave_it():
    at = datetime(2025, 1, 2, 5, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    build = Build(sha=SHA, at=at)
    assert build.tag == "build-20250102-030405-0123456"
    assert build.name == f"opentrons-packages-{SHA}"
    assert re.fullmatch(r"build-\d{8}-\d{6}-[0-9a-f]{7}", Build(sha=SHA, at=datetime.now(UTC)).tag)
    for sha in ("", "main", "0123", "$(id)"):
        with pytest.raises(UsageFailure, match="no git commit"):
            Build(sha=sha, at=at)


def test_every_branch_has_its_channel_and_production_is_a_tag():
    assert channel_of_ref("refs/heads/main") == "staging"
    assert channel_of_ref("refs/tags/packages@v1.2") == "prod"
    assert channel_of_ref("refs/heads/feature/x") == channel_of("feature/x")
    for branch in ("dev", "prod", "simple", "packages@v1", "refs/heads/main"):
        found = channel_of_ref(f"refs/heads/{branch}")
        assert channel(found) == found
        assert found not in ("prod", "staging")
    for ref in ("main", "refs/tags/v1", "refs/tags/packages@vx", "refs/tags/build-1", "refs/pull/1/merge", ""):
        with pytest.raises(UsageFailure, match="no channel"):
            channel_of_ref(ref)
