"""A robot's authorized_keys over SSH: read, and replaced whole or not at all."""

import threading

import pytest

from builder.errors import UsageFailure
from ot2deploy.enroll import authorized
from ot2deploy.errors import CommandFailure
from ot2deploy.sim import embedded
from ot2deploy.transport.ssh import connect

BLOB = "AAAAC3NzaC1lZDI1NTE5AAAAIIfZTo7e6iphfyWPv0Yjxj2h2ldtp83jE/F2ceV8EEUe"
OTHER = "AAAAC3NzaC1lZDI1NTE5AAAAICHu1mx/GLe37dHOfE9Xxqyyk489GbCyIBCPvrjAHMpd"


def public(blob=BLOB, comment="ann@laptop"):
    return authorized.PublicKey(kind="ssh-ed25519", blob=blob, comment=comment)


@pytest.mark.parametrize(
    ("line", "comment"),
    [
        (f"ssh-ed25519 {BLOB} ann@laptop", "ann@laptop"),
        (f"ssh-ed25519 {BLOB}", ""),
        (f'restrict,command="a b" ssh-ed25519 {BLOB} of the left one', "of the left one"),
    ],
)
def test_a_line_is_a_key_whatever_stands_before_it(line, comment):
    key = authorized.parse(line)
    assert (key.line, key.comment) == (f"ssh-ed25519 {BLOB}", comment)
    assert key.fingerprint.startswith("SHA256:")


@pytest.mark.parametrize("line", ["", "# ssh-ed25519 AAAA", "ssh-ed25519", "ssh-ed25519 &&&&", "hello"])
def test_other_lines_are_none(line):
    assert authorized.parse(line) is None


def test_a_key_is_added_once_and_everything_else_stays_as_it_was(embedded_lab):
    lab = embedded_lab(1)
    file = embedded.authorized_keys(lab.directory / "r1")
    file.write_text(f"# ours\n{file.read_text()}nonsense \xff\nno-pty ssh-ed25519 {OTHER} b")  # no newline at its end
    before = file.read_bytes()
    with connect(lab.robots["r1"]) as session:
        assert authorized.add(session, lab.robots["r1"], (public(),)) == (public(),)
        assert authorized.add(session, lab.robots["r1"], (public(comment="another word"),)) == ()
        assert [key.comment for key in authorized.read(session, lab.robots["r1"])] == ["", "b", "ann@laptop"]
    assert file.read_bytes() == before + b"\n" + f"ssh-ed25519 {BLOB} ann@laptop\n".encode()
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["authorized_keys"]


def test_a_robot_without_the_directory_gets_it(embedded_lab):
    lab = embedded_lab(1)
    file = embedded.authorized_keys(lab.directory / "r1")
    with connect(lab.robots["r1"]) as session:
        file.unlink()
        file.parent.rmdir()
        assert authorized.read(session, lab.robots["r1"]) == ()
        authorized.add(session, lab.robots["r1"], (public(),))
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert file.read_text() == f"ssh-ed25519 {BLOB} ann@laptop\n"


def test_two_computers_at_once_lose_no_key(embedded_lab):
    lab = embedded_lab(1)
    robot = lab.robots["r1"]
    new = [public(blob=BLOB[:-4] + f"{number:04}", comment=f"k{number}") for number in range(4)]
    failures = []

    def add(key):
        try:
            with connect(robot) as session:
                authorized.add(session, robot, (key,))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=add, args=(key,)) for key in new]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with connect(robot) as session:
        assert {key.comment for key in authorized.read(session, robot)} == {"", "k0", "k1", "k2", "k3"}


def test_somebody_elses_change_in_between_is_kept(embedded_lab):
    lab = embedded_lab(1)
    robot = lab.robots["r1"]
    file = embedded.authorized_keys(lab.directory / "r1")
    asked = []

    def changed(text):
        asked.append(text)
        if len(asked) == 1:
            file.write_text(f"{text}ssh-ed25519 {OTHER} theirs\n")
        return text + f"ssh-ed25519 {BLOB} ours\n"

    with connect(robot) as session:
        assert authorized.change(session, robot, changed)
        assert [key.comment for key in authorized.read(session, robot)] == ["", "theirs", "ours"]
    assert len(asked) == 2


def test_half_of_a_file_is_never_put_in_place(embedded_lab):
    """What arrives may end early, when the connection breaks off."""
    lab = embedded_lab(1)
    robot = lab.robots["r1"]
    file = embedded.authorized_keys(lab.directory / "r1")
    before = file.read_bytes()
    with connect(robot) as session:
        digests = f"{authorized.sha256_bytes(before)} {authorized.sha256_bytes(b'all of it')}\n"
        done = session.run(authorized._command(authorized.WRITE, robot), input=digests.encode() + b"all")
    assert done.status == 8
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["authorized_keys"]


def test_what_cannot_be_written_is_told(embedded_lab):
    lab = embedded_lab(1)
    robot = lab.robots["r1"]
    file = embedded.authorized_keys(lab.directory / "r1")
    with connect(robot) as session:
        file.unlink()
        file.mkdir()
        (file / "x").touch()
        with pytest.raises(CommandFailure, match="as they were"):
            authorized.add(session, robot, (public(),))


def test_a_pub_file_is_read_and_everything_else_explained(tmp_path):
    embedded.new_key_pair(tmp_path / "id")
    (key,) = authorized.read_public(tmp_path / "id.pub")
    assert key.kind == "ssh-ed25519"
    secret = (tmp_path / "id").read_text()
    for name, text, says in (
        ("id", secret, "Run: ot2deploy robot enroll --key "),
        ("alone", secret, "ssh-keygen -y -f "),
        ("a.ppk", "PuTTY-User-Key-File-3: ssh-rsa\n", "public-openssh"),
        ("b.pub", "---- BEGIN SSH2 PUBLIC KEY ----\n", "ssh-keygen -i"),
        ("c.pub", "hello\n", "no public key"),
        ("d.pub", "", "no public key"),
        ("e.pub", f"ssh-ed25519 {BLOB}\nhello\n", "no public key"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(UsageFailure) as caught:
            authorized.read_public(tmp_path / name)
        said = "\n".join(caught.value.lines())
        assert says in said
        assert secret.splitlines()[1] not in said
    with pytest.raises(UsageFailure, match="cannot be read"):
        authorized.read_public(tmp_path / "gone.pub")
