"""Prefect for each generation of robots: every wheel got or built for real, judged, and carried in one file."""

import pytest

from builder import bundle as bundle_file
from builder import profile_host
from builder.audit import audit
from builder.store import Store

pytestmark = [pytest.mark.network, pytest.mark.slow]

# Profile -> number of wheels, and packages that nobody publishes a fitting wheel of.
GENERATIONS = {
    "ot2-py310": (96, {"asyncpg", "regex", "ruamel-yaml-clib"}),
    "ot2-py312": (95, {"asyncpg", "regex", "ruamel-yaml-clib"}),
}


@pytest.mark.parametrize("profile", GENERATIONS)
def test_a_bundle_of_prefect(profile, run_cli, shared_cache, tmp_path, monkeypatch):
    count, built = GENERATIONS[profile]
    words = ("bundle", "prefect", "--profile", profile, "--json", "-o")
    (made,) = run_cli(*words, "one.ot2bundle").good().document["result"]["manifests"]
    assert len(made["wheels"]) == count
    assert {wheel["name"] for wheel in made["wheels"] if wheel["how"] == "built"} >= built

    (read,) = bundle_file.read(tmp_path / "one.ot2bundle", Store(tmp_path / "elsewhere"))
    assert read.digest == made["digest"]
    judged = [audit(blob.path, profile_host.load(profile), sha256=blob.sha256) for blob in read.blobs]
    assert [one.filename for one in judged if not one.ok] == []
    assert len([one for one in judged if one.binaries]) >= len(built)

    (again,) = run_cli(*words, "two.ot2bundle", "--offline").good().document["result"]["manifests"]
    assert again["digest"] == made["digest"]
    assert (tmp_path / "one.ot2bundle").read_bytes() == (tmp_path / "two.ot2bundle").read_bytes()

    monkeypatch.setenv("OT2DEPLOY_CACHE", str(tmp_path / "empty"))
    refused = run_cli(*words, "three.ot2bundle", "--offline")
    error = refused.document["error"]
    assert (refused.status, error["code"]) == (1, "offline")
    assert any(line.startswith("prefect-3.3.4-py3-none-any.whl (sha256 ") for line in error["details"])
    assert f"ot2deploy bundle prefect -o FILE.ot2bundle --profile {profile}" in error["next"]
    assert not (tmp_path / "three.ot2bundle").exists()
