"""`ot2deploy robot keys`, and a second computer's key with `robot enroll --key`."""

import subprocess

import pytest

from ot2deploy.sim import embedded


@pytest.fixture
def second(tmp_path):
    """A second computer's key; its private file."""
    path = tmp_path / "second"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ann@two", "-f", path], check=True)
    return path


def held(workplace):
    rows = workplace.run("robot", "keys", "list")["robots"]
    return {row["robot"]: [(key["comment"], key["this_computer"]) for key in row["result"]["keys"]] for row in rows}


def test_a_second_computers_key_is_let_in_listed_and_taken_away(workplace_of, second):
    workplace = workplace_of(2)
    for changed in (True, False):
        rows = workplace.run("robot", "enroll", "--key", f"{second}.pub")["robots"]
        assert [row["result"]["changed"] for row in rows] == [changed, changed]
    assert held(workplace) == {"r1": [("", True), ("ann@two", False)], "r2": [("", True), ("ann@two", False)]}
    lab = workplace.lab
    lab.write(r1={"identity_file": second})
    assert held(workplace)["r1"] == [("", False), ("ann@two", True)]  # it can log in, and whose is told
    lab.write()
    workplace.run("robot", "keys", "revoke", "ann@two", "--limit", "r1")
    assert [len(keys) for keys in held(workplace).values()] == [1, 2]
    fingerprint = workplace.run("robot", "keys", "list")["robots"][1]["result"]["keys"][1]["fingerprint"]
    rows = workplace.run("robot", "keys", "revoke", fingerprint)["robots"]
    assert [row["result"]["changed"] for row in rows] == [False, True]
    assert [len(keys) for keys in held(workplace).values()] == [1, 1]
    rows = workplace.run("robot", "keys", "revoke", "ann@two")["robots"]  # a second time
    assert not any(row["result"]["changed"] for row in rows)


def test_the_key_in_use_stays_without_force_and_the_last_one_always(workplace, second):
    (row,) = workplace.run("robot", "keys", "list")["robots"]
    own = row["result"]["keys"][0]["fingerprint"]
    (row,) = workplace.run("robot", "keys", "revoke", own, "--force", status=1)["robots"]
    assert (row["error"]["code"], row["error"]["what"]) == ("key-kept", "this is its last key, which stays")
    workplace.run("robot", "enroll", "--key", f"{second}.pub", "--limit", "r1")
    (row,) = workplace.run("robot", "keys", "revoke", own, status=1)["robots"]
    assert "this computer logs in with" in row["error"]["what"]
    assert len(held(workplace)["r1"]) == 2
    workplace.run("robot", "keys", "revoke", own, "--force")
    assert workplace.lab.start is not None
    workplace.lab.write(r1={"identity_file": second})
    assert held(workplace) == {"r1": [("ann@two", True)]}


def test_a_comment_that_several_keys_have_takes_none_of_them(workplace, second):
    file = embedded.authorized_keys(workplace.lab.directory / "r1")
    one = (second.with_suffix(".pub")).read_text()
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-C", "ann@two", "-f", f"{second}b"], check=True)
    file.write_text(file.read_text() + one + second.with_name("secondb.pub").read_text())
    (row,) = workplace.run("robot", "keys", "revoke", "ann@two", status=1)["robots"]
    assert "2 keys have the comment" in row["error"]["what"]
    assert len(row["error"]["details"]) == 2
    assert len(held(workplace)["r1"]) == 3


def test_what_a_person_sees(run_cli, workplace, second):
    here = ("--robots", workplace.lab.path)
    added = run_cli("robot", "enroll", "r1", "--key", f"{second}.pub", *here).good()
    assert "ann@two" in added.out
    assert "added" in added.out
    listed = run_cli("robot", "keys", "list", *here).good()
    assert "ssh-ed25519" in listed.out
    assert "SHA256:" in listed.out
    assert "revoked ssh-ed25519" in run_cli("robot", "keys", "revoke", "ann@two", *here).good().out
    private = run_cli("robot", "enroll", "--key", second, *here)
    assert private.status == 2
    assert "is a private key" in private.err
    assert second.read_text().splitlines()[1] not in private.err
