"""The routes about runs: what the robot is doing."""

from __future__ import annotations

from ot2deploy.sim.api.parts import Answer, Api, Request, failure


def runs(api: Api, request: Request) -> Answer:
    """GET /runs?pageLength=N: the newest N, oldest first."""
    every = list(api.machine.facts()["runs"])
    given = request.query.get("pageLength", [""])[0]
    shown = every[-int(given) :] if given.isdigit() and int(given) else every
    current = next((run for run in every if run["current"]), None)
    links = {"current": {"href": f"/runs/{current['id']}"}} if current else {}
    meta = {"cursor": len(every) - len(shown), "totalLength": len(every)}
    return Answer(status=200, body={"data": shown, "meta": meta, "links": links})


def one_run(api: Api, request: Request, identity: str) -> Answer:
    """GET /runs/{id}."""
    for run in api.machine.facts()["runs"]:
        if run["id"] == identity:
            return Answer(status=200, body={"data": run})
    return failure(404, "RunNotFound", "Run Not Found", f"Run {identity} was not found.")


def maintenance_run(api: Api, request: Request) -> Answer:
    """GET /maintenance_runs/current_run; 404 means that there is none."""
    run = api.machine.facts()["maintenance"]
    if run is None:
        return failure(404, "NoCurrentRunFound", "No Current Run Found", "No maintenance run is current.")
    return Answer(status=200, body={"data": run})
