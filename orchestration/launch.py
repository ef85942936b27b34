"""Launching materializations from outside Dagster, through the GraphQL API that its own UI uses.

So a command leaves the same run, with the same tags and config, as a click.
"""

import json
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from governance.tenants import Release

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on InvalidSubsetError { message }
    ... on PipelineNotFoundError { message }
    ... on UnauthorizedError { message }
  }
}
"""
STATE = """
query State($run: ID!, $after: String) {
  runOrError(runId: $run) { ... on Run { status } }
  logsForRun(runId: $run, afterCursor: $after) {
    ... on EventConnection {
      cursor
      events {
        __typename
        ... on MessageEvent { message timestamp stepKey }
        ... on ExecutionStepFailureEvent { error { message cause { message } } }
      }
    }
  }
}
"""
RUNS = """
query Runs($filter: RunsFilter!) {
  runsOrError(filter: $filter) { ... on Runs { results { runId status } } }
}
"""
LOCATIONS = """
query { workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError {
  __typename ... on RepositoryLocation { repositories { name } } ... on PythonError { message } } } } } }
"""
OVER = {"SUCCESS", "FAILURE", "CANCELED"}


class LaunchFailed(RuntimeError):
    """Dagster refused to launch, or cannot be reached; the message is Dagster's own."""


@dataclass(frozen=True)
class Run:
    """One run as Dagster knows it now. `messages`, `errors` (of failed steps, innermost cause last): since `cursor`."""

    run_id: str
    status: str
    messages: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    cursor: str | None = None

    @property
    def over(self) -> bool:
        return self.status in OVER


def promotion(
    url: str, release: Release, region: str, reason: str, approver: str, tags: Mapping[str, str] | None = None
) -> str:
    """Launch `promoted_model` at region|release; returns the run id. Raises LaunchFailed."""
    partition = {
        "dagster/partition": f"{region}|{release}",
        "dagster/partition/region": region,
        "dagster/partition/release": str(release),
    }
    config = {"ops": {"promoted_model": {"config": {"reason": reason, "approver": approver}}}}
    return launch(url, "promote", ["promoted_model"], {**partition, **(tags or {})}, config)


def launch(
    url: str,
    job: str,
    assets: Sequence[str],
    tags: Mapping[str, str],
    config: Mapping[str, Any] | None = None,
) -> str:
    """Launch `job` for a selection of its assets; returns the run id. Raises LaunchFailed."""
    location, repository = _code_location(url)
    answer = _ask(
        url,
        LAUNCH,
        {
            "params": {
                "selector": {
                    "repositoryLocationName": location,
                    "repositoryName": repository,
                    "pipelineName": job,
                    "assetSelection": [{"path": [asset]} for asset in assets],
                },
                "runConfigData": config or {},
                "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
            }
        },
    )["launchRun"]
    if answer["__typename"] != "LaunchRunSuccess":
        raise LaunchFailed(f"{job} was not launched: {answer.get('message') or answer.get('errors') or answer}")
    return str(answer["run"]["runId"])


def read_run(url: str, run_id: str, after: str | None = None) -> Run:
    """The run's state, and its log messages and errors after the cursor `after`. Raises LaunchFailed."""
    answer = _ask(url, STATE, {"run": run_id, "after": after})
    events = answer["logsForRun"].get("events", [])
    return Run(
        run_id,
        answer["runOrError"]["status"],
        tuple(event["message"] for event in events if event.get("message")),
        tuple(_causes(events)),
        answer["logsForRun"].get("cursor", after),
    )


def runs_of(url: str, tags: Mapping[str, str]) -> list[Run]:
    """The runs with these tags, newest first."""
    wanted = {"filter": {"tags": [{"key": key, "value": value} for key, value in tags.items()]}}
    return [Run(run["runId"], run["status"]) for run in _ask(url, RUNS, wanted)["runsOrError"]["results"]]


def wait_for(url: str, run_id: str) -> Run:
    """The run when it is over, with all its errors. Raises LaunchFailed."""
    seen = read_run(url, run_id)
    while not seen.over:
        time.sleep(0.5)
        later = read_run(url, run_id, seen.cursor)
        seen = replace(later, errors=seen.errors + later.errors)
    return seen


def _causes(events: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for event in events:
        error = event.get("error")
        while error:
            yield error["message"].strip()
            error = error.get("cause")


def _code_location(url: str) -> tuple[str, str]:
    entries = _ask(url, LOCATIONS, {})["workspaceOrError"]["locationEntries"]
    for entry in entries:
        loaded = entry["locationOrLoadError"] or {}
        if loaded.get("__typename") == "RepositoryLocation":
            return entry["name"], loaded["repositories"][0]["name"]
        raise LaunchFailed(f"code location {entry['name']} did not load: {loaded.get('message', 'still loading')}")
    raise LaunchFailed(f"Dagster at {url} has no code location")


def _ask(url: str, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
    except OSError as error:
        raise LaunchFailed(f"Dagster does not answer at {url}: {error}; is the stack up?") from error
    if answer.get("errors"):
        raise LaunchFailed(str(answer["errors"][0]["message"]))
    return dict(answer["data"])
