"""`ot2deploy init`: files appear once, and nothing of the user's is touched."""

from builder.environment_file import load as load_environment
from ot2deploy.init import ENVIRONMENTS
from ot2deploy.inventory import load
from ot2deploy.inventory.edit import set_host_key
from ot2deploy.project import Project

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"


def test_a_project_begins(run_cli, tmp_path):
    ran = run_cli("init").good()
    assert "Next:" in ran.out
    assert Project.find(tmp_path).root == tmp_path
    assert load(tmp_path / "inventory.yaml").robots == {}
    assert "pylock.*.toml" in (tmp_path / ".gitignore").read_text().splitlines()


def test_a_second_time_changes_nothing(run_cli, tmp_path):
    run_cli("init").good()
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.rglob("*") if path.is_file()}
    ran = run_cli("init").good()
    assert ran.out.startswith("no change")
    assert before == {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.rglob("*") if path.is_file()
    }


def test_what_is_there_stays(run_cli, tmp_path):
    (tmp_path / "inventory.yaml").write_text("mine")
    (tmp_path / ".gitignore").write_text("*.log\n.ot2deploy/")
    document = run_cli("init", "--json").good().document
    assert (tmp_path / "inventory.yaml").read_text() == "mine"
    lines = (tmp_path / ".gitignore").read_text().splitlines()
    assert lines[:2] == ["*.log", ".ot2deploy/"]
    assert lines.count(".ot2deploy/") == 1
    assert [step["did"] for step in document["result"]["files"]] == ["no change", "written", "written", "added to"]


def test_another_directory_is_made(run_cli, tmp_path):
    ran = run_cli("init", "lab").good()
    assert (tmp_path / "lab" / "environments" / "README.md").is_file()
    assert f"cd {tmp_path / 'lab'}" in ran.out


def test_a_place_that_cannot_be_written_is_one_clear_error(run_cli, tmp_path):
    (tmp_path / "lab").write_text("a file")
    ran = run_cli("init", "lab/sub")
    assert ran.status == 2
    assert "cannot write into" in ran.err


def test_the_example_environment_is_a_good_one(tmp_path):
    example = ENVIRONMENTS.partition("```yaml\n")[2].partition("```")[0]
    path = tmp_path / "plate-tools" / "environment.yaml"
    path.parent.mkdir()
    path.write_text(example)
    assert load_environment(path).requirements == ("numpy==1.26.4",)


def test_the_commented_inventory_is_a_good_one(run_cli, tmp_path):
    run_cli("init").good()
    path = tmp_path / "inventory.yaml"
    text = path.read_text()
    example = text.partition("# robots:\n")[2].partition("\n\n")[0]
    lines = ["schema: 1", "robots:", *(line.removeprefix("# ") for line in example.splitlines())]
    path.write_text("\n".join(lines) + "\n")
    inventory = load(path)
    assert list(inventory.robots) == ["otto", "luigi"]
    assert inventory.groups["lab-a"] == ("otto", "luigi")


def test_a_robot_that_is_added_has_its_host_key_beside_it(run_cli, tmp_path):
    run_cli("init").good()
    path = tmp_path / "inventory.yaml"
    head = path.read_text().partition("robots: {}")[0]
    run_cli("robot", "add", "otto", "192.168.1.20").good()
    set_host_key(path, "otto", "ssh-ed25519 " + KEY)
    run_cli("robot", "add", "luigi", "192.168.1.21").good()
    assert path.read_text() == head + (
        "robots:\n  otto:\n    address: 192.168.1.20\n    host_key: ssh-ed25519 "
        + KEY
        + "\n  luigi:\n    address: 192.168.1.21\n"
    )
