"""`ot2deploy toolchain`: what a build for a profile would use."""


def test_a_profile_is_shown_with_its_target(run_cli):
    (told,) = run_cli("toolchain", "show", "--profile", "host", "--json").good().document["result"]["toolchains"]
    assert told["compiler"].startswith("zig ")
    assert "-linux-gnu" in told["OT2_CROSS_TARGET"]


def test_an_unknown_profile_is_answered_with_the_nearest_name(run_cli):
    ran = run_cli("toolchain", "show", "--profile", "ot2-py31")
    assert ran.status == 2
    assert "Did you mean ot2-py31" in ran.err
