"""A flow runs to Completed against a real Prefect server on sqlite, and the server has recorded its task runs.

Everything lives in a temporary PREFECT_HOME and on a free port of 127.0.0.1. A run that says Completed is not enough:
a client that does not fit its server completes runs whose task runs are never recorded. Time limits suit an emulated
or slow robot (a server takes 13 s to start on a laptop, 20 times as long there).
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request

START = 1200.0  # seconds until the server answers: it makes its database first
RECORD = 600.0  # seconds until the task runs stand in the database: they travel as events
NUMBERS = (1, 2, 3)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def environment(home, api):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return {
        **kept,
        "HOME": home,
        "TMPDIR": home,
        "PREFECT_HOME": home,
        "PREFECT_API_URL": api,
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home}/prefect.db",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_API_REQUEST_TIMEOUT": "600",
        "PREFECT_API_DATABASE_TIMEOUT": "120",
        "PREFECT_API_DATABASE_CONNECTION_TIMEOUT": "120",
        "PREFECT_CLIENT_MAX_RETRIES": "10",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    }


def call(api, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(api + path, data=data, headers={"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=120) as answer:
        return json.load(answer)


def until(what, limit, ask):
    """Asks until the answer is true; the server may be busy or not there yet."""
    end = time.monotonic() + limit
    trouble = "no answer"
    while time.monotonic() < end:
        try:
            answer = ask()
        except OSError as error:
            trouble = repr(error)
        else:
            if answer:
                return answer
            trouble = f"answered {answer!r}"
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {limit:g} s ({trouble})")


@contextlib.contextmanager
def server(home, port):
    """The server as users start it, in a process group of its own; its log is shown when it fails."""
    api = f"http://127.0.0.1:{port}/api"
    log = pathlib.Path(home, "server.log")
    argv = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            argv, env=environment(home, ""), cwd=home, stdout=out, stderr=out, start_new_session=True
        )

    def healthy():
        assert process.poll() is None, f"the server ended with status {process.returncode}"
        return call(api, "/health")

    try:
        until("the server answers", START, healthy)
        yield api
    except BaseException:
        print(log.read_text(errors="replace")[-4000:], file=sys.stderr)
        raise
    finally:
        stop(process)


def stop(process):
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
    process.wait()


def run_flow():
    """Imported only now: Prefect reads its settings from the environment when it is imported."""
    from prefect import flow, task

    @task
    def square(number):
        return number * number

    @flow(name="ot2deploy-check", log_prints=False)
    def squares():
        return sum(square(number) for number in NUMBERS)

    state = squares(return_state=True)
    assert state.is_completed(), f"the flow run ended as {state!r}"
    assert state.result() == 14, state.result()
    return str(state.state_details.flow_run_id)


def check(home):
    with server(home, free_port()) as api:
        os.environ.update(environment(home, api))
        run = run_flow()
        filters = {
            "flow_runs": {"id": {"any_": [run]}},
            "task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
        }
        recorded = until(
            f"{len(NUMBERS)} task runs are recorded as completed",
            RECORD,
            lambda: call(api, "/task_runs/count", filters) >= len(NUMBERS),
        )
        flow_run = call(api, f"/flow_runs/{run}")
        assert recorded
        assert flow_run["state"]["type"] == "COMPLETED", flow_run["state"]
        version = call(api, "/admin/version")
    print(f"prefect {version}: a flow run completed, its {len(NUMBERS)} task runs are recorded")


def main():
    home = tempfile.mkdtemp(prefix="ot2deploy-prefect-")
    status = 1
    try:
        check(home)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    # Prefect's background threads may wait for a server that is gone; there is nothing left to wait for.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
