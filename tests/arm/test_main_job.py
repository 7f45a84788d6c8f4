"""The main job on 32-bit ARM: Prefect, built where nobody publishes wheels, pushed by both methods, verified, kept."""

import pytest

pytestmark = [pytest.mark.arm, pytest.mark.network, pytest.mark.slow]

WHEELS = 95
BUILT = {"asyncpg", "greenlet", "pyyaml", "regex", "ruamel-yaml-clib"}
MARKED = "/var/user-packages/usr/lib/python3.11/site-packages/of_a_user.py"
# Everything on /var that is not ours, and what a push could leave on the small /tmp.
OTHERS = (
    f"mkdir -p {MARKED.rpartition('/')[0]}; echo 'OWNER = 1' > {MARKED}; ls -A /tmp; "
    "find /var -path /var/ot2deploy -prune -o -path /var/log -prune -o -type f -exec sha256sum {} + | sort"
)
ETC = "find /etc /usr/lib/python3.11/site-packages -type f -exec sha256sum {} + | sort | sha256sum"


@pytest.fixture(scope="module")
def done():
    """What the one push of this module did; empty before it."""
    return {}


@pytest.fixture
def pushed(done, told, arm_lab):
    """Prefect on both robots: by the robot's own pip on sim1, as trees on sim2. The first test that asks waits."""
    if not done:
        before = {name: arm_lab.run(name, f"{OTHERS}; {ETC}", timeout=180) for name in ("sim1", "sim2")}
        inventory = arm_lab.changed("methods.yaml", sim2={"install_method": "tree"})
        result = told(arm_lab, "push", "prefect", robots=inventory)
        done.update(rows={row["robot"]: row for row in result["robots"]}, before=before, inventory=inventory)
    return done


def test_both_robots_have_the_release_and_its_checks_passed(pushed):
    by_pip, by_tree = pushed["rows"]["sim1"], pushed["rows"]["sim2"]
    for row, method in ((by_pip, "pip"), (by_tree, "tree")):
        assert (row["outcome"], row["method"], row["error"]) == ("pushed", method, None)
        assert (row["plan"]["profile"], row["plan"]["send"], row["sent"]) == ("debian-12-armhf", WHEELS, WHEELS)
        assert {check["name"]: check["ok"] for check in row["checks"]} == {
            "import prefect.main": True,
            "prefect version": True,
            "greenlet_switch": True,
        }
        (imported,) = (check for check in row["checks"] if check["kind"] == "import")
        assert imported["file"].startswith(f"/var/ot2deploy/envs/prefect/releases/{row['plan']['digest']}/lib/")
        assert {"probe", "bundle", "send", "install", "verify", "switch"} <= set(row["seconds"])
    assert by_pip["plan"]["digest"] == by_tree["plan"]["digest"]


def test_what_nobody_publishes_was_built_from_its_source(pushed, run_cli, shared_cache, arm_lab):
    words = ("bundle", "prefect", "--project", arm_lab.project.root, "--profile", "debian-12-armhf", "--json")
    (manifest,) = run_cli(*words).good().document["result"]["manifests"]
    assert {wheel["name"] for wheel in manifest["wheels"] if wheel["how"] == "built"} >= BUILT
    assert manifest["digest"] == pushed["rows"]["sim1"]["plan"]["digest"]


def test_pushing_again_changes_nothing(pushed, told, arm_lab):
    rows = told(arm_lab, "push", "prefect", robots=pushed["inventory"])["robots"]
    assert [(row["outcome"], row["sent"]) for row in rows] == [("no change", 0)] * 2
    assert arm_lab.run("sim1", "cat /var/ot2deploy/lock") == ""


def test_programs_status_and_verification(pushed, told, arm_lab):
    """One robot each, for every start of Prefect takes ten seconds of an emulated robot."""
    (ran,) = told(arm_lab, "exec", "-e", "prefect", "--limit", "sim1", "--", "prefect", "version")["robots"]
    assert "3.3.4" in ran["stdout"]
    states = [row["result"] for row in told(arm_lab, "status")["robots"]]
    digest = pushed["rows"]["sim1"]["plan"]["digest"]
    assert [state["environments"]["prefect"]["current"] for state in states] == [digest] * 2
    (verified,) = told(arm_lab, "verify", "prefect", "--limit", "sim2")["robots"]
    assert [check["ok"] for check in verified["result"]["checks"]] == [True] * 3


def test_the_robot_itself_is_as_it_was(pushed, arm_lab):
    """Its system packages, /etc and /usr, user packages, and all else on /var; /tmp is empty."""
    for name in ("sim1", "sim2"):
        assert arm_lab.run(name, f"{OTHERS}; {ETC}", timeout=180) == pushed["before"][name]
        assert not arm_lab.container(name).diff()


def test_both_methods_give_the_same_packages(pushed, told, arm_lab):
    asked = "import importlib.metadata as m; print(sorted((d.metadata['Name'], d.version) for d in m.distributions()))"
    by_pip, by_tree = told(arm_lab, "exec", "-e", "prefect", "--", "python3", "-c", asked)["robots"]
    assert by_pip["stdout"] == by_tree["stdout"]
    assert by_pip["stdout"].count("('") == WHEELS


def test_a_flow_runs_to_completed(pushed, told, arm_lab):
    (row,) = told(arm_lab, "verify", "prefect", "--deep", "--limit", "sim1")["robots"]
    assert {check["name"]: check["ok"] for check in row["result"]["checks"]}["flow_run"]
