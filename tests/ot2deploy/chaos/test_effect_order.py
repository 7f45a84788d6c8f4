"""What a power cut must find on the disk is forced there in time: rules over the recorded order of the agent's effects.

Killing processes cannot show it, for what they wrote stays in memory; a recorder can.
"""

from __future__ import annotations

import re

import pytest
from chaos_points import effects_of

# The pip that makes trees is got once; the points are recorded once, by one worker.
pytestmark = [pytest.mark.network, pytest.mark.xdist_group("chaos")]

RELEASE = re.compile(r"envs/plates/releases/[0-9a-f]{64}")


@pytest.fixture(scope="session")
def recorded(broken_robot):
    """The agent's effects of a push by each method, as (kind, place) in their order."""
    return {
        method: [(one.kind, one.where) for one in effects_of(broken_robot, f"push, {method}") if one.role != "host"]
        for method in ("tree", "pip")
    }


@pytest.fixture(params=["tree", "pip"])
def effects(request, recorded):
    return recorded[request.param]


def at(effects, kind, ending):
    """Where in the order the one effect of a kind stands whose place ends so."""
    found = [number for number, one in enumerate(effects) if one[0] == kind and one[1].endswith(ending)]
    assert len(found) == 1, f"{kind} {ending}: {found}"
    return found[0]


def test_state_files_are_synced_before_and_after_they_get_their_name(effects):
    renames = [(number, one[1].split(" -> ")) for number, one in enumerate(effects) if one[0] == "replace"]
    states = [(number, paths) for number, paths in renames if paths[1].endswith((".json", "/complete"))]
    assert len(states) >= 3
    for number, (part, name) in states:
        before, after = effects[:number], effects[number:]
        last_write = max(place for place, one in enumerate(before) if one == ("write", part))
        assert ("fsync", part) in before[last_write:], f"{name} may be empty after a power cut"
        assert ("fsync", name.rpartition("/")[0]) in after, f"{name} may be missing after a power cut"


def test_a_release_is_marked_complete_when_all_of_it_is_on_the_disk(effects):
    synced, marked = at(effects, "syncfs", ""), at(effects, "replace", "/complete")
    release = RELEASE.search(effects[marked][1]).group()
    changed = [number for number, one in enumerate(effects) if release in one[1] and one[0] not in ("fsync", "start")]
    contents = [number for number in changed if not effects[number][1].endswith((".complete.part", "/complete"))]
    verified = [number for number in contents if "verified.json" in effects[number][1]]
    assert max(set(contents) - set(verified)) < synced < marked < min(verified)


def test_nothing_is_switched_to_that_is_not_complete_and_verified_on_the_disk(effects):
    switched = at(effects, "replace", "envs/plates/current")
    for name in ("/complete", "/verified.json"):
        named = at(effects, "replace", name)
        release = RELEASE.search(effects[named][1]).group()
        assert ("fsync", release) in effects[named:switched]
    assert ("fsync", "envs/plates/releases") in effects[:switched], "the release itself may be missing"


def test_the_journal_is_written_after_the_switch_is_on_the_disk_and_before_it_is_told(effects):
    switched = at(effects, "replace", "envs/plates/current")
    synced = effects.index(("fsync", "envs/plates"), switched)
    written, safe = at(effects, "write", "journal"), at(effects, "fsync", "journal")
    answered = effects.index(("answer", ""), switched)
    assert switched < synced < written < safe < answered


def test_an_environment_is_not_current_before_anything_of_it_is_removed(broken_robot):
    effects = [(one.kind, one.where) for one in effects_of(broken_robot, "remove") if one.role == "agent"]
    gone = effects.index(("unlink", "envs/plates/current"))
    synced = effects.index(("fsync", "envs/plates"), gone)
    removed = [
        number
        for number, one in enumerate(effects)
        if one[0] in ("unlink", "rmdir") and one[1].startswith(("envs/", "wheels/", "packs/")) and number != gone
    ]
    assert gone < synced < min(removed)
