"""pip and uv install from the running server, by JSON and by HTML, with one request for each wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from served_index import PY310, Served, fill, served

from builder.index.tokens import TOKENS, Tokens

WHEELS = ("alpha-1.0-py3-none-any.whl", "beta-1.0+lab.1-py3-none-any.whl", "gamma-2.0-py3-none-any.whl")
# The same program behind a proxy that lets no client say what it accepts.
HTML_ONLY = """
import builder.index.server.serve as module
from ot2deploy.cli import main

def html_only(app):
    async def proxy(scope, receive, send):
        kept = [(name, value) for name, value in scope["headers"] if name != b"accept"]
        await app({**scope, "headers": kept}, receive, send)
    return proxy

real = module.serve
module.serve = lambda app, *rest: real(html_only(app), *rest)
main()
"""
PROGRAMS = {"json": ("-m", "ot2deploy"), "html": ("-c", HTML_ONLY)}


@pytest.fixture
def project(tmp_path):
    """A project whose index has alpha, which needs beta, which needs a new gamma; the newest of all is yanked."""
    (tmp_path / "inventory.yaml").write_text("robots: {}\n")
    fill(tmp_path, WHEELS[0], metadata="Requires-Dist: beta==1.0+lab.1\n")
    fill(tmp_path, WHEELS[1], metadata="Requires-Dist: gamma>=2\n")
    fill(tmp_path, WHEELS[2], "gamma-1.0-py3-none-any.whl", metadata="Requires-Python: >=3.8\n")
    index = fill(tmp_path, "gamma-3.0-py3-none-any.whl")
    page = index.page(PY310, "gamma")
    with index.change() as change:
        change.put(PY310, page.with_files([replace(page.files[-1], yanked="breaks the pipettes")]))
    return tmp_path


@pytest.fixture
def venv(tmp_path) -> Path:
    """A fresh environment without pip."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True, timeout=60)
    return tmp_path / "venv"


def install(client: str, venv: Path, url: str, *words: str) -> subprocess.CompletedProcess[str]:
    """One call of a client, without caches and the developer's settings."""
    commands = {
        "pip": [
            sys.executable, "-m", "pip", "--isolated", "--no-cache-dir", "--disable-pip-version-check",
            "--no-input", "--python", str(venv), "install", "--index-url", url,
        ],
        "uv": [
            str(Path(sys.executable).with_name("uv")), "pip", "install", "--no-config", "--no-cache",
            "--python", str(venv), "--default-index", url,
        ],
    }  # fmt: skip
    env = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    return subprocess.run([*commands[client], *words], env=env, capture_output=True, text=True, timeout=120)


def distributions(venv: Path) -> set[str]:
    """What an environment has."""
    return {path.name.removesuffix(".dist-info") for path in venv.glob("lib/python*/site-packages/*.dist-info")}


def wheels(server: Served) -> Counter[str]:
    """How often each wheel, or its METADATA, was asked for."""
    files = [line for line in server.answered() if "/files/" in line["path"]]
    assert {line["status"] for line in files} == {"200"}
    return Counter(line["path"].rpartition("/")[2].replace("%2B", "+") for line in files)


@pytest.mark.parametrize("form", PROGRAMS)
@pytest.mark.parametrize("client", ["pip", "uv"])
def test_a_client_installs_what_it_needs_with_one_request_for_each_wheel(project, venv, client, form):
    with served(project, program=PROGRAMS[form]) as server:
        done = install(client, venv, f"{server.url}ot2-py310/simple/", "Alpha")
        assert done.returncode == 0, done.stdout + done.stderr
        assert distributions(venv) == {"alpha-1.0", "beta-1.0+lab.1", "gamma-2.0"}
        assert wheels(server) == Counter([*WHEELS, *(f"{name}.metadata" for name in WHEELS)])
        pages = Counter(line["path"] for line in server.answered() if "/simple/" in line["path"])
        assert pages == Counter(f"/ot2-py310/simple/{name}/" for name in ("alpha", "beta", "gamma"))


@pytest.mark.parametrize("client", ["pip", "uv"])
def test_a_client_reads_a_private_index_with_its_token_and_not_without(project, venv, client):
    _, secret = Tokens(project / ".ot2deploy" / "index" / TOKENS).create("robot", ["read"], lasts=timedelta(days=1))
    with served(project, "--private") as server:
        url = f"{server.url}ot2-py310/simple/"
        refused = install(client, venv, url, "gamma")
        assert refused.returncode != 0
        assert distributions(venv) == set()
        done = install(client, venv, url.replace("://", f"://__token__:{secret}@"), "gamma")
        assert done.returncode == 0, done.stdout + done.stderr
        assert distributions(venv) == {"gamma-2.0"}
        assert secret not in server.log


@pytest.mark.parametrize("client", ["pip", "uv"])
def test_what_the_index_does_not_have_is_not_installed(project, venv, client):
    with served(project) as server:
        done = install(client, venv, f"{server.url}ot2-py310/simple/", "gamma==9.9")
        assert done.returncode != 0
        assert distributions(venv) == set()
        assert not [line for line in server.answered() if "/files/" in line["path"]]
