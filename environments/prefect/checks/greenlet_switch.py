"""greenlet really switches stacks: back and forth, exceptions across switches, kills, several threads.

Importing greenlet proves nothing: a build for the wrong stack layout imports, then crashes in its first switch.
"""

import threading

import greenlet


def switching():
    seen = []

    def child(value):
        for _ in range(200):
            value = parent.switch(value + 1)
        seen.append(value)
        return "end"

    parent = greenlet.getcurrent()
    other = greenlet.greenlet(child)
    value = other.switch(0)
    while not other.dead:
        value = other.switch(value)
    assert value == "end", value
    assert seen == [200], seen


def exceptions():
    def failing():
        try:
            greenlet.getcurrent().parent.switch("ready")
        except KeyError as error:
            raise ValueError("from inside") from error

    other = greenlet.greenlet(failing)
    assert other.switch() == "ready"
    cause = None
    try:
        other.throw(KeyError("thrown in"))
    except ValueError as error:
        cause = error.__cause__
    assert isinstance(cause, KeyError), "the exception did not come back"
    assert other.dead


def kill():
    cleaned = []

    def waiting():
        try:
            greenlet.getcurrent().parent.switch()
        finally:
            cleaned.append(True)

    other = greenlet.greenlet(waiting)
    other.switch()
    other.throw()
    assert cleaned == [True]
    assert other.dead


def deep_stack():
    """A switch out of many frames, so that a large piece of stack is saved and restored."""

    def down(level):
        if level == 0:
            return greenlet.getcurrent().parent.switch("bottom")
        return down(level - 1) + 1

    others = [greenlet.greenlet(down) for _ in range(3)]
    assert [other.switch(100) for other in others] == ["bottom"] * 3
    assert [other.switch(number) for number, other in enumerate(others)] == [100, 101, 102]


def in_threads(count=4):
    failures = []

    def work():
        try:
            for _ in range(5):
                switching()
                exceptions()
                kill()
                deep_stack()
        except BaseException as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


if __name__ == "__main__":
    switching()
    exceptions()
    kill()
    deep_stack()
    in_threads()
    print(f"greenlet {greenlet.__version__}: switches, exceptions, kills and threads work")
