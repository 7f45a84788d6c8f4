"""`ot2deploy index promote`, `yank`, `drop`, `log`: what a person types, sees, and finds in the journal."""

from __future__ import annotations

import pytest
from loopback_index import fill
from wheel_factory import make_wheel

from builder.index.journal import JOURNAL, Act, Journal
from builder.index.layout import Branch, channel_of
from builder.profile_host import host_profile

DEMO = "demo-{}-py3-none-any.whl"


@pytest.fixture
def index(tmp_path):
    """A project whose index has demo 1.0 and 1.1 in dev."""
    (tmp_path / "environments").mkdir()
    return fill(tmp_path / "index", {"ot2-py310/dev": [DEMO.format("1.0"), DEMO.format("1.1")]}, own=["demo"])


def acts(run_cli) -> list[tuple[str, str, str]]:
    """What the journal has: what was done, in which branches, to what."""
    told = run_cli("index", "log", "--json").good().document["result"]["acts"]
    return [(act["op"], ", ".join(act["branches"]), f"{act['name']} {act['detail']}") for act in told]


def test_promote_says_what_it_did_and_the_journal_has_it_once(run_cli, index):
    shown = run_cli("index", "promote", "demo", "--from", "dev", "--dry-run").good().out
    assert "would be promoted" in shown
    assert acts(run_cli) == []
    shown = run_cli("index", "promote", "demo", "--from", "dev", "--to", "prod").good().out
    assert "promoted" in shown
    again = run_cli("index", "promote", "demo==1.1", "--from", "dev", "--json").good().document["result"]
    (version,) = again["versions"]
    assert (version["version"], version["new"], list(version["files"])) == ("1.1", [], [DEMO.format("1.1")])
    assert acts(run_cli) == [("promote", "ot2-py310/dev, ot2-py310", "demo 1.1 from dev to prod")]
    (act,) = run_cli("index", "log", "--json").document["result"]["acts"]
    assert act["files"] == version["files"]
    assert "@" in act["who"]
    assert "demo" in run_cli("index", "log", "-n", "1").good().out


def test_what_only_prod_has_is_shown_in_dev_too(run_cli, index):
    fill(index.root, {"ot2-py310": ["ujson-5.10.0-cp310-cp310-linux_armv7l.whl"]})
    run_cli("index", "promote", "--all", "--from", "prod", "--to", "dev").good()
    assert index.names(Branch(profile="ot2-py310", channel="dev")) == ("demo", "ujson")


def test_host_is_this_computers_own_branch(run_cli, index):
    name = host_profile().name
    fill(index.root, {f"{name}/dev": [DEMO.format("3.0")]})
    for words in (("promote", "demo", "--from", "dev"), ("yank", "demo==3.0", "--reason", "x")):
        told = run_cli("index", *words, "--profile", "host", "--json").good().document["result"]
        assert {one["profile"] for one in told["versions"]} == {name}


def test_a_refusal_has_every_reason_and_is_no_act(run_cli, index):
    ran = run_cli("index", "promote", "demo==7", "other", "--from", "dev")
    assert ran.status == 1
    assert "ot2-py310/dev does not have demo==7; it has 1.0, 1.1" in ran.err
    assert "ot2-py310/dev does not have other" in ran.err
    assert acts(run_cli) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("promote", "demo"), "the channel to promote from"),
        (("promote", "--from", "dev"), "names to promote, or --all"),
        (("promote", "demo", "--all", "--from", "dev"), "names to promote, or --all"),
        (("promote", "demo", "--from", "dev", "--git-branch", "x"), "both name a channel"),
        (("promote", "demo", "--from", "Dev"), "no name of a channel"),
        (("promote", "demo", "--from", "dev", "--to", "../x"), "no name of a channel"),
        (("promote", "demo>1", "--from", "dev"), "is not NAME"),
        (("yank", "demo==1.0"), "--reason TEXT, or --undo"),
        (("yank", "demo==1.0", "--reason", "x", "--undo"), "--reason TEXT, or --undo"),
        (("yank", "demo", "--undo"), "is not NAME==VERSION"),
        (("drop",), "the channel to drop"),
        (("drop", "prod"), "prod cannot be dropped"),
        (("log", "-n", "0"), "-n"),
        (("promote", "demo", "--from", "dev", "--index", "nowhere"), "there is no index"),
    ],
)
def test_a_wrong_line_is_told_and_does_nothing(run_cli, index, words, said):
    ran = run_cli("index", *words)
    assert ran.status == 2
    assert said in ran.err
    assert acts(run_cli) == []


def test_yank_and_back(run_cli, index):
    said = ("index", "yank", "demo==1.0", "--reason", "volumes are wrong")
    assert "would be yanked" in run_cli(*said, "--dry-run").good().out
    assert "yanked" in run_cli(*said).good().out
    assert "no change" in run_cli(*said).good().out
    ran = run_cli("index", "promote", "demo==1.0", "--from", "dev")
    assert "demo==1.0 is yanked in ot2-py310/dev: volumes are wrong" in ran.err
    assert "good again" in run_cli("index", "yank", "demo==1.0", "--undo", "--channel", "dev").good().out
    assert acts(run_cli) == [
        ("yank", "ot2-py310/dev", "demo 1.0: volumes are wrong"),
        ("unyank", "ot2-py310/dev", "demo 1.0"),
    ]


def test_a_git_branchs_channel_is_promoted_from_and_dropped(run_cli, tmp_path):
    (tmp_path / "environments").mkdir()
    channel = channel_of("feature/Tips")
    fill(tmp_path / "index", {f"ot2-py310/{channel}": [DEMO.format("1.0")]})
    run_cli("index", "promote", "--all", "--git-branch", "feature/Tips").good()
    shown = run_cli("index", "drop", "--git-branch", "feature/Tips", "--dry-run").good().out
    assert shown == f"{channel}: 1 project would be dropped; 0 wheels are in no other channel\n"
    run_cli("index", "drop", "--git-branch", "feature/Tips").good()
    assert "no change" in run_cli("index", "drop", channel).good().out
    assert [op for op, _, _ in acts(run_cli)] == ["promote", "remove"]
    assert (tmp_path / "index" / "ot2-py310" / "simple" / "demo" / "index.html").is_file()


def test_each_result_says_whether_it_changed_anything(run_cli, index):
    for words in (
        ("promote", "demo", "--from", "dev"),
        ("yank", "demo==1.0", "--reason", "x"),
        ("gc", "--yanked", "--channel", "dev"),
        ("drop", "dev"),
    ):
        for dry, changed in (("--dry-run", True), ("--json", True), ("--json", False)):
            told = run_cli("index", *words, dry, "--json").good().document["result"]
            assert (told["changed"], words) == (changed, words)


def test_a_channel_that_is_not_there_is_told_with_those_that_are(run_cli, index):
    assert run_cli("index", "drop", "dve").good().out == "no change: the index has no channel dve; it has dev\n"


def test_nothing_is_changed_where_the_journal_cannot_be_written(run_cli, index, tmp_path):
    (tmp_path / ".ot2deploy").write_text("in the way")
    before = index.page(index.branches()[0], "demo")
    for words in (
        ("yank", "demo==1.0", "--reason", "x"),
        ("promote", "demo", "--from", "dev"),
        ("drop", "dev"),
        ("gc", "--keep", "1"),
    ):
        ran = run_cli("index", *words)
        assert (ran.status, ".ot2deploy" in ran.err) == (1, True)
    assert [index.page(branch, "demo") for branch in index.branches()] == [before]


def test_what_others_sent_does_not_steer_the_terminal(run_cli, index, tmp_path):
    act = Act(op="refused", who="ci", name="x\x1b[2J", detail="\x1b]0;title\x07")
    Journal(tmp_path / ".ot2deploy" / "index" / JOURNAL).add(act)
    assert "x?[2J" in run_cli("index", "log").good().out
    assert "\x1b" not in run_cli("index", "log").good().out


def test_an_empty_journal_says_so(run_cli, index):
    assert run_cli("index", "log").good().out == "Nothing was done to the index yet.\n"


def test_what_a_command_begins_is_told(run_cli, tmp_path):
    (tmp_path / "environments").mkdir(exist_ok=True)
    wheel = make_wheel(tmp_path, "told-1.0-py3-none-any.whl")
    to = ("--index", "fresh", "--profile", "ot2-py310")
    assert f"new index in {tmp_path / 'fresh'}" in run_cli("index", "upload", wheel, *to).good().out
    assert "new channel dve" in run_cli("index", "build", wheel, *to, "--channel", "dve").good().out
    words = ("index", "promote", "told", "--from", "dve", "--to", "prdo", "--index", "fresh", "--dry-run")
    assert "new channel prdo; did you mean prod?" in run_cli(*words).good().out
    found = run_cli(*words, "--json").good().document["result"]["begun"]
    assert (found["channels"], found["like"]) == (["prdo"], {"prdo": "prod"})
    assert "new" not in run_cli("index", "upload", wheel, *to).good().out
    run_cli("index", "build", wheel, "--profile", "ot2-py310").good()
    made = run_cli("token", "create", "--name", "ci", "--scope", "upload", "--channel", "pord").good()
    assert "new channel pord; did you mean prod?" in made.out
