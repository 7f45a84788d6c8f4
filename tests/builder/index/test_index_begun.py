"""What is told of an index, channels and branches that were not there before."""

from __future__ import annotations

from builder.index.begun import Begun, begun
from builder.index.layout import Branch

PY310, DEV = Branch(profile="ot2-py310"), Branch(profile="ot2-py310", channel="dev")


def test_a_new_index_a_new_channel_and_a_new_branch_are_told_apart():
    assert begun(None, [PY310]) == Begun(index=True)
    assert begun([PY310], [PY310, DEV]) == Begun(channels=("dev",))
    assert begun([PY310, DEV], [Branch(profile="ot2-py312", channel="dev")]) == Begun(branches=("ot2-py312/dev",))
    assert begun([DEV], [PY310]) == Begun(branches=("ot2-py310",))
    assert begun([PY310], [PY310]) == Begun()


def test_a_channel_that_is_like_another_is_told_with_it():
    found = begun([PY310, DEV], [Branch(profile="ot2-py310", channel=name) for name in ("prdo", "dve")])
    assert found.lines("x") == ("new channel dve; did you mean dev?", "new channel prdo; did you mean prod?")
    assert found.as_dict()["like"] == {"dve": "dev", "prdo": "prod"}
