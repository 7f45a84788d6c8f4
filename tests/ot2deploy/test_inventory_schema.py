"""The JSON Schema of inventories says what the reader says, of every example there is."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from builder.errors import ConfigFailure
from ot2deploy.init import INVENTORY
from ot2deploy.inventory import load
from ot2deploy.inventory.schema import schema
from ot2deploy.inventory.settings import SETTINGS

ROOT = Path(__file__).resolve().parent.parent.parent
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP0YeEgGK4m/YP1KU8b9hWAt+XD92yCRB8Z3kuaTlJ1M"
VALIDATOR = jsonschema.Draft202012Validator(schema())
PAGE = ROOT / "docs" / "inventory.md"
EXAMPLES = [
    (ROOT / "inventory.yaml").read_text(),
    INVENTORY,
    f"robots:\n  a: {{host_key: '{KEY} me', serial: 0012, install_method: tree, base: /var/x, port: null}}\n",
    "schema: 1\ndefaults:\ngroups: {a: {groups: [b], robots: , vars: {http_port: 1}}, b: }\nrobots: {c: }\n",
    *(re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.S) if PAGE.exists() else ()),
]
WRONG = [
    "schema: 2",
    "schema: 1\nrobot: {}",
    "schema: 1\nrobots: [a]",
    "schema: 1\nrobots: {a b: {}}",
    "schema: 1\nrobots: {a: {adress: x}}",
    "schema: 1\nrobots: {a: {port: 70000}}",
    "schema: 1\nrobots: {a: {port: '22'}}",
    "schema: 1\nrobots: {a: {serial: 'a b'}}",
    "schema: 1\nrobots: {a: {host_key: x}}",
    "schema: 1\nrobots: {a: {install_method: zip}}",
    "schema: 1\nrobots: {a: {base: relative}}",
    "schema: 1\nrobots: {a: {groups: b}}",
    "schema: 1\ngroups: {a: {port: 1}}",
    "schema: 1\ngroups: {a: {vars: {groups: [b]}}}",
    "schema: 1\ndefaults: {port: 0}",
]


def errors(text):
    return [error.message for error in VALIDATOR.iter_errors(YAML(typ="safe").load(text))]


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("text", EXAMPLES)
def test_what_the_reader_takes_the_schema_takes(tmp_path, text):
    (tmp_path / "lab.yaml").write_text(text)
    load(tmp_path / "lab.yaml")
    assert errors(text) == []


@pytest.mark.parametrize("text", WRONG)
def test_what_the_schema_refuses_the_reader_refuses(tmp_path, text):
    (tmp_path / "lab.yaml").write_text(text)
    assert errors(text)
    with pytest.raises(ConfigFailure):
        load(tmp_path / "lab.yaml")


def test_every_setting_is_in_it_with_its_meaning(run_cli, tmp_path):
    told = run_cli("robot", "schema", "--json").good().document["result"]
    robot = told["properties"]["robots"]["additionalProperties"]["properties"]
    assert robot.keys() == {*SETTINGS, "groups"}
    assert told["properties"]["defaults"]["properties"].keys() == SETTINGS.keys()
    assert robot["port"]["description"] == SETTINGS["port"].help
    assert robot["port"]["default"] == 22
    assert "$schema=lab.json" in run_cli("robot", "schema", "-o", tmp_path / "lab.json").good().out
    assert json.loads((tmp_path / "lab.json").read_text()) == told
    assert run_cli("robot", "schema").good().out.startswith('{\n  "$schema"')
