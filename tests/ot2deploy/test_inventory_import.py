"""Robots out of tables and Ansible inventories: what is taken, and every problem at once."""

import shutil
import subprocess
from pathlib import Path

import pytest

from builder.errors import ConfigFailure, UsageFailure
from ot2deploy import inventory
from ot2deploy.inventory.importing import read

HOSTS = """\
all:
  vars:
    ansible_user: root
    ansible_port: 2200
  children:
    lab:
      vars: {ansible_port: 2222, ansible_password: hush}
      children:
        left:
          hosts:
            otto: {ansible_host: 192.0.2.1}
        right:
    right:
      vars:
        ansible_ssh_private_key_file: keys/right
      hosts:
        luigi:
          ansible_host: 192.0.2.2
          ansible_port: 22
          colour: red
  hosts:
    karl.lab.example:
"""


def table(tmp_path, text, name="robots.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def problems(path):
    with pytest.raises(ConfigFailure) as caught:
        read(path)
    return [line.removeprefix(f"{path}:") for line in caught.value.details]


@pytest.mark.parametrize(
    "text",
    [
        "name,address,port,serial,groups\notto,192.0.2.1,2222,0012,lab-a teaching\n\nluigi,192.0.2.2,,,\n",
        "\ufeffName;Address;Port;Serial;Groups\r\notto;192.0.2.1;2222;0012;lab-a,teaching\r\nluigi;192.0.2.2;;;\r\n",
        "serial\tname\tgroups\taddress\tport\n0012\t otto \tlab-a; teaching\t192.0.2.1\t2222\n\tluigi\t\t192.0.2.2",
        'name,address,port,serial,groups\n"otto",192.0.2.1,2222,"0012","lab-a,teaching"\nluigi,192.0.2.2\n,,,,\n',
    ],
)
def test_a_table_is_read_as_spreadsheets_write_it(tmp_path, text):
    otto, luigi = read(table(tmp_path, text)).entries
    assert (otto.name, otto.settings) == ("otto", {"address": "192.0.2.1", "port": 2222, "serial": "0012"})
    assert otto.groups == ("lab-a", "teaching")
    assert (luigi.name, luigi.settings, luigi.groups) == ("luigi", {"address": "192.0.2.2"}, ())


def test_all_problems_of_a_table_come_at_once(tmp_path):
    text = (
        "name,address,port,groups\n"
        "otto,192.0.2.1:22,x,a b/c\n"
        '"lui\ngi",192.0.2.2,22,\n'
        ",192.0.2.3,,\n"
        "karl,192.0.2.4,70000,\n"
        "karl,192.0.2.4,22,\n"
        "otto,192.0.2.4,22,a,b\n"
        "otto,,,\n"
    )
    assert problems(table(tmp_path, text)) == [
        "2: address: must be the address alone; `user:` and `port:` are settings of their own",
        "2: groups: 'b/c': only letters, digits and . _ - are allowed",
        "2: port: must be a number from 1 to 65535",
        "3: name: 'lui\\ngi': only letters, digits and . _ - are allowed",
        "5: name: is empty",
        "6: port: must be a number from 1 to 65535",
        "7: name: `karl` stands in line 6, too",
        "8: 5 cells under 4 columns",
        "9: name: `otto` stands in line 2, too",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "1: the file is empty"),
        ("nam,adress\n", "1: `nam` is no column; did you mean `name`?"),
        ("nam,adress\n", "1: `adress` is no column; did you mean `address`?"),
        ("name,,name\n", "1: a column has no name"),
        ("name,,name\n", "1: column `name` stands twice"),
        ("address\n192.0.2.1\n", "1: there is no column `name`"),
        ('name,address\n"otto"x,1\n', "2: this is no CSV"),
    ],
)
def test_a_first_line_that_names_no_columns(tmp_path, text, says):
    assert any(line.startswith(says) for line in problems(table(tmp_path, text)))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("hosts.ini", b"[lab]\n", "ansible-inventory"),
        ("robots.csv", "name\nottö\n".encode("utf-16"), "UTF-8"),
        ("missing.csv", None, "No such file"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, says):
    path = table(tmp_path, content, name) if content is not None else tmp_path / name
    with pytest.raises(UsageFailure) as caught:
        read(path)
    assert says in str(caught.value) + caught.value.next


def test_an_ansible_inventory_is_read_with_its_groups_and_their_variables(tmp_path):
    found = read(table(tmp_path, HOSTS, "hosts.yaml"))
    told = {entry.name: (entry.settings, entry.groups) for entry in found.entries}
    assert told == {
        "otto": ({"address": "192.0.2.1", "port": 2222, "user": "root"}, ("lab", "left")),
        "luigi": (
            {"address": "192.0.2.2", "port": 22, "user": "root", "identity_file": str(tmp_path / "keys" / "right")},
            ("lab", "right"),
        ),
        "karl.lab.example": ({"port": 2200, "user": "root"}, ()),
    }
    assert found.notes == ("not taken over, for they are Ansible's own: ansible_password, colour",)
    assert "hush" not in str(found)


@pytest.mark.skipif(not shutil.which("ansible-inventory"), reason="ansible is not installed")
def test_ansible_itself_says_the_same(tmp_path):
    path = table(tmp_path, HOSTS, "hosts.yaml")
    listed = subprocess.run(
        ["ansible-inventory", "-i", path, "--list", "--yaml"], check=True, capture_output=True, timeout=60
    ).stdout
    again = table(tmp_path, listed, "listed.yaml")
    by_name = {entry.name: (entry.settings, set(entry.groups)) for entry in read(path).entries}
    said = {entry.name: (entry.settings, set(entry.groups)) for entry in read(again).entries}
    for settings, _ in (*by_name.values(), *said.values()):
        settings.pop("identity_file", None)  # Ansible leaves a relative path to where it is started
    assert said == by_name


def test_all_problems_of_an_ansible_inventory_come_at_once(tmp_path):
    text = """\
all:
  host: {}
  hosts:
    robot[1:3]:
    otto: {ansible_port: no, ansible_host: "{{ ip }}"}
    luigi:
      ansible_user: !vault abc
      <<: {ansible_port: 22}
    "a b":
  children: [lab]
"""
    found = problems(table(tmp_path, text, "hosts.yml"))
    assert [line.split(":")[0] for line in found] == ["2", "4", "5", "5", "7", "8", "9", "10"]
    for clause in (
        "did you mean `hosts`",
        "is a range",
        "ansible_port of host `otto`",
        "is no plain value",
        "merge key",
    ):
        assert clause in "\n".join(found)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there are no hosts"),
        ("all:\n", "there are no hosts"),
        ("- otto\n", "must be a mapping"),
        ("a: {children: {b: }, hosts: {x: }}\nb: {children: {a: }}\n", "contain each other"),
        ("all: &a\n  children: {b: *a}\n", "stands inside itself"),
    ],
)
def test_what_is_no_ansible_inventory(tmp_path, text, says):
    assert says in "\n".join(problems(table(tmp_path, text, "hosts.yaml")))


def test_robots_are_imported_and_those_that_are_there_left_alone(run_cli, tmp_path):
    path = Path("inventory.yaml")
    (tmp_path / path).write_text("schema: 1\n# ours\nrobots:\n  otto: {address: 192.0.2.9}   # mine\n")
    before = (tmp_path / path).read_text()
    source = table(tmp_path, "name,address,groups\notto,192.0.2.1,lab\nluigi,192.0.2.2,lab\n")
    dry = run_cli("robot", "import", source, "--dry-run").good()
    assert "would be added" in dry.out
    assert "--update changes them" in dry.out
    assert (tmp_path / path).read_text() == before
    told = run_cli("robot", "import", source, "--json").good().document["result"]["robots"]
    assert [(row["robot"], row["did"]) for row in told] == [("otto", "left alone"), ("luigi", "added")]
    assert (tmp_path / path).read_text().startswith(before)
    assert "changed" in run_cli("robot", "import", source, "--update").good().out
    robots = inventory.load(tmp_path / path).robots
    assert (robots["otto"].address, robots["otto"].groups) == ("192.0.2.1", ("lab",))
    told = run_cli("robot", "import", source, "--update", "--json").good().document["result"]["robots"]
    assert [row["did"] for row in told] == ["no change", "no change"]


def test_a_table_that_does_not_fit_the_inventory_changes_nothing(run_cli, tmp_path):
    (tmp_path / "inventory.yaml").write_text("schema: 1\nrobots: {otto: {serial: OT2A}}\n")
    source = table(tmp_path, "name,serial\nnew,OT2B\nluigi,OT2A\n")
    ran = run_cli("robot", "import", source)
    assert ran.status == 2
    assert "serial OT2A of robot `luigi` is that of `otto`, too" in ran.err
    assert (tmp_path / "inventory.yaml").read_text() == "schema: 1\nrobots: {otto: {serial: OT2A}}\n"
