"""A robot's connection over the life of a command: a lost one is made again, other failures are final."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from builder.errors import Failure
from builder.events import Event
from ot2deploy import link as module
from ot2deploy.errors import AuthRefused, CheckFailed, ConnectionLost, HostKeyChanged, Unreachable
from ot2deploy.inventory import Robot
from ot2deploy.link import TRIES, Link

ROBOT = Robot(name="otto", address="192.0.2.1")


class FakeSession:
    """A Session that can only be closed."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Opener:
    """Opens sessions, or raises what it was given, in turn."""

    def __init__(self, *failures: Failure | None) -> None:
        self.failures, self.sessions = list(failures), []

    def __call__(self, robot: Robot) -> FakeSession:
        failure = self.failures.pop(0) if self.failures else None
        if failure:
            raise failure
        self.sessions.append(FakeSession())
        return self.sessions[-1]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.0)


def failing(*failures: Failure | None):
    left = list(failures)

    def work(session: FakeSession) -> FakeSession:
        failure = left.pop(0) if left else None
        if failure:
            raise failure
        return session

    return work


def test_one_session_serves_all_steps() -> None:
    opener = Opener()
    with Link(ROBOT, opener, lambda event: None) as link:
        assert opener.sessions == []
        assert link.attempt(failing()) is link.attempt(failing()) is opener.sessions[0]
    assert [session.closed for session in opener.sessions] == [True]


def test_a_lost_connection_is_made_again_and_the_step_repeated() -> None:
    told: list[Event] = []
    opener = Opener(None, ConnectionLost("banner"))
    with Link(ROBOT, opener, told.append) as link:
        assert link.attempt(failing(ConnectionLost("cable"))) is opener.sessions[1]
    assert [(event.subject, event.level) for event in told] == [("otto", "warning")] * 2
    assert all(session.closed for session in opener.sessions)


def test_it_is_given_up_after_some_tries() -> None:
    opener = Opener()
    with Link(ROBOT, opener, lambda event: None) as link, pytest.raises(ConnectionLost):
        link.attempt(failing(*[ConnectionLost("cable")] * TRIES))
    assert len(opener.sessions) == TRIES


@pytest.mark.parametrize("failure", [CheckFailed("no"), AuthRefused("no"), HostKeyChanged("no"), Unreachable("no")])
def test_nothing_else_is_tried_again(failure: Failure) -> None:
    opener = Opener()
    with Link(ROBOT, opener, lambda event: None) as link, pytest.raises(type(failure)):
        link.attempt(failing(failure))
    assert len(opener.sessions) == 1
    refused = Opener(failure)
    with Link(ROBOT, refused, lambda event: None) as link, pytest.raises(type(failure)):
        link.attempt(failing())
    assert refused.sessions == []


def test_it_can_be_opened_ahead() -> None:
    opener = Opener()
    with ThreadPoolExecutor(1) as pool, Link(ROBOT, opener, lambda event: None) as link:
        link.begin(pool.submit)
        assert link.attempt(failing()) is opener.sessions[0]
    assert len(opener.sessions) == 1


@pytest.mark.parametrize("failure", [None, Unreachable("no")])
def test_what_was_opened_ahead_and_never_used_is_closed_quietly(failure: Failure | None) -> None:
    opener = Opener(failure)
    with ThreadPoolExecutor(1) as pool, Link(ROBOT, opener, lambda event: None) as link:
        link.begin(pool.submit)
    assert all(session.closed for session in opener.sessions)


def test_a_login_that_takes_its_time_is_not_waited_for_at_the_end() -> None:
    arrived, opened = threading.Event(), FakeSession()

    def slow(robot: Robot) -> FakeSession:
        assert arrived.wait(30)
        return opened

    with ThreadPoolExecutor(1) as pool:
        with Link(ROBOT, slow, lambda event: None) as link:
            link.begin(pool.submit)
        assert not opened.closed
        arrived.set()
    assert opened.closed


def test_a_session_that_comes_too_late_is_not_used() -> None:
    opener = Opener()
    link = Link(ROBOT, lambda robot: link.__exit__(None, None, None) or opener(robot), lambda event: None)
    with pytest.raises(ConnectionLost):
        link.attempt(failing(AssertionError("this step must not run")))
    assert [session.closed for session in opener.sessions] == [True]


def test_a_step_that_was_left_behind_does_not_connect_again() -> None:
    opener = Opener()
    link = Link(ROBOT, opener, lambda event: None)

    def work(session: FakeSession) -> None:
        link.__exit__(None, None, None)  # the command was interrupted in another thread
        raise ConnectionLost("closed")

    with pytest.raises(ConnectionLost):
        link.attempt(work)
    assert len(opener.sessions) == 1
