"""Which of this computer's keys robots take, why not the others, and a new one."""

import os
import stat
import subprocess

import pytest

from builder.errors import UsageFailure
from ot2deploy.enroll import identity
from ot2deploy.enroll.choice import Choice
from ot2deploy.errors import AuthRefused
from ot2deploy.inventory import Robot
from ot2deploy.transport import keys

PPK = "PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\n"


def key(path, kind="ecdsa", passphrase="", *more):
    path.parent.mkdir(parents=True, exist_ok=True)
    words = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "somebody", "-f", str(path), *more]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    return path


class Person:
    """Somebody whose answers are known; `answers` False is nobody."""

    def __init__(self, *passphrases, answers=True):
        self.answers, self.passphrases, self.told = answers, list(passphrases), []

    def tell(self, text):
        self.told.append(text)

    def passphrase(self, of):
        return self.passphrases.pop(0)


@pytest.fixture
def ssh(tmp_path):
    directory = tmp_path / "ssh"
    directory.mkdir()
    return directory


def test_a_key_that_robots_take_is_used_and_the_others_are_explained(ssh):
    key(ssh / "id_ed25519", "ed25519")
    (ssh / "ann.ppk").write_text(PPK)
    (ssh / "config").write_text("Host otto\n")
    key(ssh / "zz_rsa", "rsa", "", "-b", "2048", "-m", "PEM")
    found = identity.ring(ssh)
    assert [(one.file.name, one.line.split()[0]) for one in found.usable] == [("zz_rsa", "ssh-rsa")]
    assert found.locked == ()
    said = "\n".join(found.notes)
    assert "ann.ppk is a PuTTY key" in said
    assert "puttygen" in said
    assert "id_ed25519 is a ssh-ed25519 key: robots take only RSA and ECDSA" in said
    assert "robot enroll --key" in said


def test_our_own_key_comes_before_the_usual_ones_and_those_before_others(ssh):
    for name in ("aaa", "id_ecdsa", "ot2deploy_ecdsa"):
        key(ssh / name)
    assert [one.file.name for one in identity.ring(ssh).usable] == ["ot2deploy_ecdsa", "id_ecdsa", "aaa"]


def test_nothing_at_hand_makes_a_new_key_that_openssh_reads(ssh):
    person = Person(answers=False)
    made = Choice(person, directory=ssh / "new").of(None)
    assert made.file == ssh / "new" / "ot2deploy_ecdsa"
    assert stat.S_IMODE(made.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.file.parent.stat().st_mode) == 0o700
    shown = subprocess.run(["ssh-keygen", "-y", "-f", made.file], check=True, capture_output=True, text=True).stdout
    assert shown.split()[:2] == made.line.split()
    public = made.file.with_name("ot2deploy_ecdsa.pub").read_text()
    assert public.startswith(made.line + " ")
    assert "@" in public.split()[2]
    assert any("Made a new key" in line for line in person.told)
    assert identity.make(ssh / "new").file.name == "ot2deploy_ecdsa_2"  # what is there is never written over


def test_a_passphrase_is_asked_once_for_all_robots(ssh):
    path = key(ssh / "id_ecdsa", passphrase="secret")
    person = Person("wrong", "secret")
    choice = Choice(person, directory=ssh)
    first = choice.of(None)
    assert first.file == path
    assert choice.of(None) is first
    assert person.passphrases == []
    assert "That is not its passphrase." in person.told
    assert any("ssh-add" in line for line in person.told)
    assert keys.look(path).state == "usable"  # for the logins of this run
    assert not any("secret" in line for line in person.told)


def test_no_passphrase_means_a_new_key_and_so_does_nobody_to_ask(ssh):
    key(ssh / "id_rsa", "rsa", "secret", "-b", "2048")
    assert Choice(Person(""), directory=ssh).of(None).file.name == "ot2deploy_ecdsa"
    (ssh / "ot2deploy_ecdsa").unlink()
    assert Choice(Person(answers=False), directory=ssh).of(None).file.name == "ot2deploy_ecdsa"


def test_the_agent_is_asked_and_a_locked_key_that_it_holds_needs_no_passphrase(ssh, monkeypatch, tmp_path):
    path = key(ssh / "id_ecdsa", passphrase="secret")
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        (tmp_path / "askpass").write_text("#!/bin/sh\necho secret\n")
        (tmp_path / "askpass").chmod(0o755)
        asked = {**os.environ, "SSH_ASKPASS": str(tmp_path / "askpass"), "SSH_ASKPASS_REQUIRE": "force"}
        for _ in range(100):
            if subprocess.run(["ssh-add", path], env=asked, capture_output=True, timeout=30).returncode == 0:
                break
        chosen = Choice(Person(), directory=ssh).of(None)
        assert chosen.file is None
        assert chosen.can_be_posted
        assert "of the agent" in str(chosen)
    finally:
        agent.terminate()
        agent.wait(10)


def test_the_key_of_a_robots_entry_is_kept_where_it_can_be(ssh):
    own, other = key(ssh / "own"), key(ssh / "id_ecdsa")
    choice = Choice(Person(answers=False), directory=ssh)
    assert choice.of(Robot(name="x", address="x", identity_file=own)).file == own
    person = Person(answers=False)
    gone = Choice(person, directory=ssh).of(Robot(name="x", address="x", identity_file=ssh / "gone"))
    assert gone.file == other
    assert "of no use" in person.told[0]


def test_a_key_that_is_named_and_is_none_is_refused_with_the_reason(ssh):
    key(ssh / "id")
    (ssh / "ann.ppk").write_text(PPK)
    (ssh / "text").write_text("hello\n")
    for name, says in (("ann.ppk", "puttygen"), ("text", "OpenSSH"), ("id.pub", "private half"), ("gone", "No such")):
        with pytest.raises(UsageFailure) as caught:
            Choice(Person(answers=False), ssh / name).of(None)
        assert says in "\n".join(caught.value.lines())
    locked = key(ssh / "locked", passphrase="secret")
    with pytest.raises(AuthRefused, match="has a passphrase"):
        Choice(Person(answers=False), locked).of(None)
