"""environment.yaml: what it may say, and every mistake with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.environment_file import load
from builder.errors import ConfigFailure


def write(tmp_path: Path, text: str, name: str = "lab") -> Path:
    path = tmp_path / name / "environment.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_an_arbitrary_version_that_is_none_is_a_problem_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "requirements: ['idna===']\n")
    with pytest.raises(ConfigFailure) as caught:
        load(path)
    (said,) = caught.value.details
    assert said == f"{path}:1: requirements[0]: 'idna===' is not a requirement: no version stands behind ==="


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "check.py").write_text("print('ok')\n")
    (tmp_path / "lab" / "helpers.py").write_text("x = 1\n")
    path = write(
        tmp_path,
        """
requirements:
  - numpy>=1
  - ./helpers.py
constraints: [greenlet==3.1.1]
as_of: 2025-04-20
python: "3.11"
indexes:
  - {name: ours, url: ../wheels}
  - {name: lab, url: "https://wheels.invalid/simple"}
variables:
  MODE: "1"
system_packages: true
install_method: tree
checks:
  quick:
    - import: numpy.linalg
    - run: [prefect, version]
      expect: 'Version:\\s+3'
      timeout: 20
  deep:
    - program: check.py
      name: works
""",
    )
    found = load(path)
    assert (found.name, found.source, found.path) == ("lab", "environment", path)
    assert found.requirements == ("numpy>=1",)
    assert found.local == (tmp_path / "lab" / "helpers.py",)
    assert found.wanted == ("numpy>=1", "./helpers.py")
    assert (found.as_of, found.python) == ("2025-04-20", "3.11")
    assert [index.url for index in found.indexes] == [(tmp_path / "wheels").as_uri(), "https://wheels.invalid/simple"]
    assert (found.variables, found.system_packages, found.install_method) == ({"MODE": "1"}, True, "tree")
    assert [check.as_dict() for check in found.quick or ()] == [
        {"kind": "import", "name": "import numpy.linalg", "timeout": 300.0, "module": "numpy.linalg"},
        {
            "kind": "run",
            "name": "prefect version",
            "timeout": 20.0,
            "argv": ["prefect", "version"],
            "expect": r"Version:\s+3",
        },
    ]
    (deep,) = found.deep or ()
    assert deep.as_dict() == {"kind": "program", "name": "works", "timeout": 900.0, "source": "print('ok')\n"}


def test_no_checks_is_not_the_same_as_an_empty_list(tmp_path: Path) -> None:
    assert load(write(tmp_path, "requirements: [a==1]")).quick is None
    assert load(write(tmp_path, "requirements: [a==1]\nchecks: {quick: []}")).quick == ()


def test_the_digest_covers_what_is_written(tmp_path: Path) -> None:
    first = load(write(tmp_path, "requirements: [a==1]"))
    assert first.digest == load(write(tmp_path / "b", "requirements: [a==1]  # the same\n")).digest
    assert first.digest != load(write(tmp_path, "requirements: [a==1]\nvariables: {A: b}")).digest


def test_all_problems_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """requirments:
  - a
requirements:
  - 'a b c'
  - tool @ https://files.invalid/tool-1.0.tar.gz
  - ./missing
  - private @ https://bob:s3cret@files.invalid/private-1.0.tar.gz#sha256=%s
python: 3.10
as_of: yesterday
checks:
  quik: []
  quick:
    - import: not a module
    - run: prefect version
    - program: nowhere.py
    - {run: [x], expct: y}
    - import: a
      run: [b]
variables: {A: 1}
system_packages: maybe
install_method: magic
indexes: [{name: x, url: nowhere}]
"""
        % ("0" * 64),
    )
    with pytest.raises(ConfigFailure) as caught:
        load(path)
    said = [line.removeprefix(f"{path}:") for line in caught.value.details]
    expected = {
        "1: requirments: unknown key; did you mean requirements?",
        "4: requirements[0]: 'a b c' is not a requirement",
        "5: requirements[1]: tool: a URL needs #sha256=",
        "6: requirements[2]: ./missing does not exist",
        "7: requirements[3]: private: a URL must not hold a user name or password",
        '8: python: must be a version such as "3.10" (in quotes',
        "9: as_of: must be a date",
        "11: checks.quik: unknown key; did you mean quick?",
        "13: checks.quick[0]: 'not a module' is not a module name",
        "14: checks.quick[1]: write the command as a list",
        "15: checks.quick[2]: cannot read nowhere.py",
        "16: checks.quick[3].expct: unknown key; did you mean expect?",
        "17: checks.quick[4]: a check is one of",
        "19: variables.A: must be NAME: text",
        "20: system_packages: must be true or false",
        "21: install_method: must be one of pip, tree",
        "22: indexes[0]: nowhere is neither",
    }
    missing = {text for text in expected if not any(line.startswith(text) for line in said)}
    assert not missing, said
    assert len(said) == len(expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("requirements: [a\n", "not YAML"),
        ("- a\n", "must hold keys and values"),
        ("requirements: []\n", "1: requirements: at least one is needed"),
        ("requirements: [a==1]\nrequirements: [b==1]\n", "2: not YAML"),
    ],
)
def test_what_is_no_environment_at_all(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigFailure) as caught:
        load(write(tmp_path, text))
    assert said in caught.value.details[0]


def test_a_directory_name_that_cannot_be_an_environments(tmp_path: Path) -> None:
    with pytest.raises(ConfigFailure, match="1 problem"):
        load(write(tmp_path, "requirements: [a==1]", name="My Lab"))
