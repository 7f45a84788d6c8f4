"""An exported index on 32-bit ARM: the robots' own pip installs from it, over the network and from a directory."""

from __future__ import annotations

import io
import tarfile

import pytest
from web_server import web_server

from ot2deploy.transport.ssh import connect

pytestmark = [pytest.mark.arm, pytest.mark.network, pytest.mark.slow]

PROFILE = "debian-12-armhf"
# A project whose name pip writes in another way than its pages are called, and the extension module that it needs.
YAML = 'requirements: ["ruamel.yaml==0.18.10"]\nas_of: 2025-04-20\n'
LIBRARIES = "/var/user-packages/usr/lib/python3.11/site-packages"
LOADED = "import _ruamel_yaml, ruamel.yaml as y; print(_ruamel_yaml.__file__, y.YAML().load('a: [1, 2]')['a'][1])"


@pytest.fixture
def host(arm_lab):
    """The address by which robots reach this computer."""
    networks = arm_lab.container("sim2").attrs["NetworkSettings"]["Networks"]
    return next(network["Gateway"] for network in networks.values())


@pytest.fixture
def export(arm_lab, run_cli, shared_cache):
    """Exports a target into a directory; the names of its wheels."""

    def run(root, target):
        words = ("index", "export", root, target, "--profile", PROFILE, "--project", arm_lab.project.root, "--json")
        manifest = run_cli(*words).good().document["result"]["manifest"]
        return [row["filename"] for row in manifest["files"]]

    return run


@pytest.fixture
def clean(arm_lab):
    """User packages as they were: what a test installed goes with it."""
    yield
    arm_lab.run("sim2", f"rm -rf {LIBRARIES}/ruamel* {LIBRARIES}/_ruamel* /var/stick /var/prefect-index", timeout=120)


def loads_the_extension_module(arm_lab):
    assert arm_lab.run("sim2", "cat /etc/pip.conf").strip().endswith("root = /var/user-packages")
    file, value = arm_lab.run("sim2", f'python3 -c "{LOADED}"', timeout=120).split()
    return file.startswith(f"{LIBRARIES}/_ruamel_yaml.cpython-311-arm") and value == "2"


def test_pip_installs_from_a_web_server_and_fetches_each_wheel_once(arm_lab, host, export, clean, tmp_path):
    wheels = export(tmp_path / "out", arm_lab.environment("yaml", YAML))
    assert len(wheels) == 2
    with web_server(tmp_path / "out", tmp_path / "log", host) as server:
        index = f"--index-url {server.url}{PROFILE}/simple/ --trusted-host {host}"
        said = arm_lab.run("sim2", f"python3 -m pip install ruamel.yaml {index}", timeout=300)
    assert "Successfully installed ruamel.yaml-0.18.10 ruamel.yaml.clib-0.2.12" in said
    assert sorted(server.given(".whl")) == sorted(f"/{PROFILE}/files/{name}" for name in wheels)
    assert loads_the_extension_module(arm_lab)


def test_pip_installs_from_a_directory_on_the_robot(arm_lab, export, clean, tmp_path):
    export(tmp_path / "out", arm_lab.environment("yaml", YAML))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(tmp_path / "out", "stick")
    with connect(arm_lab.robots["sim2"]) as session:
        assert session.run("tar -xf - -C /var", input=packed.getvalue(), timeout=60).status == 0
    assert arm_lab.run("sim2", "cd /var/stick && sha256sum -c SHA256SUMS | grep -v ': OK$' | wc -l") == "0\n"
    index = f"--index-url file:///var/stick/{PROFILE}/simple/"
    arm_lab.run("sim2", f"python3 -m pip install ruamel.yaml {index}", timeout=300)
    assert loads_the_extension_module(arm_lab)


def test_prefect_and_all_it_needs_come_from_one_branch(arm_lab, host, export, clean, tmp_path):
    """Into an environment of its own: beside the interpreter that /etc/pip.conf's root has, Prefect finds no uv."""
    wheels = export(tmp_path / "out", "prefect")
    own = "/var/prefect-index"
    arm_lab.run("sim2", f"python3 -m venv --without-pip {own}", timeout=120)
    with web_server(tmp_path / "out", tmp_path / "log", host) as server:
        pip = f"PIP_CONFIG_FILE=/dev/null TMPDIR=/var python3 -m pip --python {own}/bin/python install --quiet"
        index = f"--index-url {server.url}{PROFILE}/simple/ --trusted-host {host}"
        arm_lab.run("sim2", f"{pip} prefect==3.3.4 {index}", timeout=900)
    assert sorted(server.given(".whl")) == sorted(f"/{PROFILE}/files/{name}" for name in wheels)
    assert "3.3.4" in arm_lab.run("sim2", f"{own}/bin/prefect version", timeout=300)
