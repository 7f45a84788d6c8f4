"""The robot image: its name follows from its recipe; its archive is what `docker load` reads; its tree is a robot's."""

import hashlib
import json
import os
import shutil
import stat
import tarfile

import pytest

from builder.docker import image_archive
from ot2deploy.sim import image, tree
from ot2deploy.sim.image import DATA, Recipe


def test_equal_recipes_have_equal_names_and_architectures_differ():
    arm, again, amd64 = (Recipe(architecture=name) for name in ("armhf", "armhf", "amd64"))
    assert arm.tag == again.tag
    assert arm.digest != amd64.digest
    assert arm.tag.startswith("ot2deploy-sim-armhf:")
    assert str(arm.platform) == "linux/arm/v7"


def test_every_input_changes_the_name(monkeypatch, tmp_path):
    before = Recipe(architecture="armhf").digest
    copy = tmp_path / "data"
    copy.mkdir()
    for name in image.INPUTS:
        source = DATA / name
        shutil.copytree(source, copy / name) if source.is_dir() else shutil.copy(source, copy / name)
    monkeypatch.setattr(image, "DATA", copy)
    assert Recipe(architecture="armhf").digest == before
    (copy / "robot" / "etc" / "motd").write_text("another\n")
    assert Recipe(architecture="armhf").digest != before


def test_only_packages_are_unpacked_and_nothing_is_executed():
    argv = Recipe(architecture="armhf").bootstrap("tree")
    assert "--variant=extract" in argv
    assert "--architectures=armhf" in argv
    included = next(word for word in argv if word.startswith("--include="))
    assert "dropbear-bin" in included
    assert "openssh" not in included  # only its scp, by the hook


def test_pinned_python_packages_have_hashes():
    rows = tree.rows(DATA / "python.txt")
    assert [row[0] for row in rows] == ["pip==22.3.1", "setuptools==68.2.2"]
    assert all(row[1].startswith("--hash=sha256:") and len(row[1]) == 14 + 64 for row in rows)


def test_no_sftp_server_and_no_timeout():
    programs = [path for _, path in tree.rows(DATA / "programs.txt")]
    applets = [row[0] for row in tree.rows(DATA / "applets.txt")]
    assert not [path for path in programs if "sftp" in path]
    assert not {"timeout", "pgrep", "git", "bash"} & set(applets)
    assert {"tar", "sha256sum", "readlink", "df", "sh"} <= set(applets)


def test_the_archive_has_one_layer_named_by_its_hash(tmp_path):
    layer = tmp_path / "layer.tar"
    layer.write_bytes(b"layer")
    platform = image_archive.Platform(architecture="arm", variant="v7")
    options = {"tag": "x:1", "command": ("/init",), "labels": {"a": "b"}, "environment": {"PATH": "/bin"}}
    identity = image_archive.write(tmp_path / "image.tar", layer, platform, **options)
    with tarfile.open(tmp_path / "image.tar") as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))
        config = archive.extractfile(manifest["Config"]).read()
    assert identity == "sha256:" + hashlib.sha256(config).hexdigest()
    assert manifest["RepoTags"] == ["x:1"]
    read = json.loads(config)
    assert read["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(b"layer").hexdigest()]
    assert (read["architecture"], read["variant"], read["config"]["Cmd"]) == ("arm", "v7", ["/init"])


@pytest.fixture
def debian(tmp_path):
    """As much of an unpacked Debian as the tree module looks at."""
    root = tmp_path / "tree"
    for package, path in tree.rows(DATA / "programs.txt"):
        program = root / tree.SPARE / package / path
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("program")
    for name in ("usr/bin", "usr/sbin", "usr/share/base-passwd", "usr/lib/python3.11", "etc", "dev", "root", "etc/apt"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "dev" / "null").write_text("")
    (root / "usr/bin/busybox").write_text("busybox")
    (root / "usr/bin/mount").write_text("a program of its own")
    (root / "usr/share/base-passwd/passwd.master").write_text("root:*:0:0:root:/root:/bin/bash\nbin:*:2:2:bin:/bin:\n")
    (root / "usr/share/base-passwd/group.master").write_text("root:*:0:\n")
    (root / "usr/lib/python3.11/sysconfig.py").write_text(
        "a = os.environ.get('DEB_PYTHON_INSTALL_LAYOUT', 'posix_local')\nprefix_scheme = 'posix_local'\n"
    )
    python = tmp_path / "python"
    (python / "pip").mkdir(parents=True)
    (python / "pip" / "__init__.py").write_text("")
    return root, python


def test_a_debian_tree_becomes_a_robot(debian):
    root, python = debian
    tree.make_robot(root, DATA, python)
    assert (root / "usr/bin/sh").readlink().as_posix() == "busybox"
    assert (root / "root").readlink().as_posix() == "/var/home"
    assert (root / "etc/dropbear").readlink().as_posix() == "/var/lib/dropbear"
    assert (root / "usr/bin/mount").read_text() == "a program of its own"
    assert (root / "usr/bin/flock").read_text() == "program"
    assert not (root / tree.SPARE).exists()
    assert (root / "etc/passwd").read_text().startswith("root:*:0:0:root:/root:/bin/sh\nbin:")
    assert (root / "etc/pip.conf").read_bytes() == b"[install]\nroot = /var/user-packages"
    assert (root / tree.SITE / "pip" / "__init__.py").exists()
    assert "posix_local" not in (root / "usr/lib/python3.11/sysconfig.py").read_text()
    assert stat.S_IMODE((root / "usr/lib/ot2sim/dropbear").stat().st_mode) == 0o755
    assert stat.S_IMODE((root / "etc/inittab").stat().st_mode) == 0o644
    assert "opentrons_api_version" in json.loads((root / "etc/VERSION.json").read_text())


def test_another_debian_than_the_known_one_is_noticed(debian):
    root, python = debian
    (root / "usr/lib/python3.11/sysconfig.py").write_text("another\n")
    with pytest.raises(SystemExit, match="sysconfig"):
        tree.make_robot(root, DATA, python)


def test_a_layer_is_the_same_each_time(debian, tmp_path):
    root, python = debian
    tree.make_robot(root, DATA, python)
    tree.write_layer(root, tmp_path / "one.tar")
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.utime(path, (1, 1))
    tree.write_layer(root, tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as archive:
        names = archive.getnames()
    assert "dev" in names
    assert "dev/null" not in names
