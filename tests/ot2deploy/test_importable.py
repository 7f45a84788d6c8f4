"""Every push says where the package can be imported."""

from ot2deploy.rollout.importable import Importable


def test_an_isolated_environment_is_for_programs():
    place = Importable(environment="prefect", options=" --robots lab.yaml")
    text = "\n".join(place.lines())
    assert "ot2deploy exec -e prefect --robots lab.yaml -- python3" in text
    assert "/var/ot2deploy/envs/prefect/current/bin/python3" in text
    assert "Protocols: no" in text
    assert place.as_dict() == {
        "programs": "/var/ot2deploy/envs/prefect/current/bin/python3", "protocols": False, "jupyter": "none",
        "restarted": False,
    }  # fmt: skip


def test_a_kernel_is_named_as_jupyter_shows_it():
    place = Importable(environment="prefect", kernel=True)
    assert "kernel prefect (ot2deploy)" in "\n".join(place.lines())
    assert place.as_dict()["jupyter"] == "prefect (ot2deploy)"


def test_a_shared_one_is_for_all_and_old_modules_are_told():
    place = Importable(environment="shared", shared=True)
    text = "\n".join(place.lines())
    assert "protocols" in text.splitlines()[0]
    assert "--restart-server" in text
    assert place.as_dict()["protocols"] is True


def test_a_restarted_robot_keeps_nothing():
    text = "\n".join(Importable(environment="shared", shared=True, restarted=True).lines())
    assert "restart" not in text


def test_robots_with_their_own_base_directories_get_no_path_that_is_wrong_for_some():
    assert Importable(environment="a", bases=("/x", "/y")).interpreter == "BASE/envs/a/current/bin/python3"
    assert Importable(environment="a", bases=("/x", "/x")).interpreter == "/x/envs/a/current/bin/python3"
