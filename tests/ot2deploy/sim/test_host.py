"""What is asked of the host."""

import pytest

from builder.events import silent
from ot2deploy.sim import host
from ot2deploy.sim.failures import EmulationFailure, SimFailure

ENTRY = "enabled\ninterpreter /usr/libexec/qemu-binfmt/arm-binfmt-P\nflags: {}\noffset 0\n"


@pytest.mark.parametrize(("text", "registered"), [("POCF", True), ("OC", False), ("", False)])
def test_emulation_counts_where_it_works_in_containers(monkeypatch, tmp_path, text, registered):
    monkeypatch.setattr(host, "ENTRY", tmp_path / "qemu-arm")
    assert not host.emulation_registered()
    host.ENTRY.write_text(ENTRY.format(text))
    assert host.emulation_registered() is registered
    host.ENTRY.write_text(ENTRY.format(text).replace("enabled", "disabled"))
    assert not host.emulation_registered()


@pytest.mark.parametrize(
    ("release", "debian"),
    [("ID=debian\n", True), ('ID=ubuntu\nID_LIKE="debian"\n', True), ("ID=fedora\n", False), (None, False)],
)
def test_debian_and_its_children(tmp_path, release, debian):
    path = tmp_path / "os-release"
    if release:
        path.write_text(release)
    assert host.is_debian(path) is debian


def test_without_root_nothing_is_installed_and_the_command_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(host, "PACKAGES", {"mmdebstrap": tmp_path / "absent"})
    monkeypatch.setattr(host, "is_root", lambda: False)
    with pytest.raises(SimFailure) as failure:
        host.install(("mmdebstrap",), silent)
    assert "apt-get install --no-install-recommends mmdebstrap" in failure.value.next


def test_nothing_is_done_when_nothing_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(host, "PACKAGES", {"mmdebstrap": tmp_path})
    host.install(("mmdebstrap",), silent)


@pytest.fixture
def kernel(monkeypatch, tmp_path):
    """A binfmt_misc directory as root sees it, with its `register`, and the configuration of qemu-user-static."""
    directory, conf = tmp_path / "binfmt_misc", tmp_path / "qemu-arm.conf"
    directory.mkdir()
    (directory / "register").write_text("")
    conf.write_text(":qemu-arm:M:::/usr/bin/qemu-arm:OPF\n")
    for name, value in (("BINFMT", directory), ("ENTRY", directory / "qemu-arm"), ("CONF", conf)):
        monkeypatch.setattr(host, name, value)
    monkeypatch.setattr(host, "PACKAGES", {"qemu-user-static": conf})
    monkeypatch.setattr(host, "is_root", lambda: True)
    return directory


def test_what_we_registered_is_taken_back_once(kernel):
    host.register_emulation(silent)
    assert (kernel / "register").read_text() == host.CONF.read_text()
    (kernel / "qemu-arm").write_text(ENTRY.format("POCF"))  # what the kernel then shows
    assert host.unregister_emulation()
    assert (kernel / "qemu-arm").read_text() == "-1"  # the kernel's word for removing it
    assert not host.unregister_emulation()


def test_what_others_registered_stays(kernel):
    (kernel / "qemu-arm").write_text(ENTRY.format("POCF"))
    host.register_emulation(silent)
    assert not host.unregister_emulation()
    assert "enabled" in (kernel / "qemu-arm").read_text()


def test_who_may_not_register_is_told_what_to_run(kernel, monkeypatch):
    monkeypatch.setattr(host, "is_root", lambda: False)
    with pytest.raises(EmulationFailure) as failure:
        host.register_emulation(silent)
    assert "systemd-binfmt" in failure.value.next
