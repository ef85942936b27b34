"""The trace as a person asks for it: the region's Triton is asked first, then the signed files."""

from dataclasses import replace

from governance.custody.keys import trusted_keys
from governance.trace import TraceNode, trace
from orchestration.settings import Settings

QUESTION = "What answers here?"


def trace_region(settings: Settings, tenant: str, task: str, region: str, offline: bool) -> TraceNode:
    """The line of `tenant/task` from what `region` answers now; `offline`: from the signed files alone.

    Neither asks Dagster or MLflow. A link that does not hold is a node, not an error.
    """
    trusted, store = trusted_keys(settings.keys_dir), settings.store()
    if offline:
        return trace(store, tenant, task, region, trusted)
    from serving.triton.client import RequestFailed, ask

    try:
        reply = ask(settings.triton.get(region, ""), f"{tenant}.{task}", [QUESTION])
    except RequestFailed as failed:
        node = trace(store, tenant, task, region, trusted)
        return replace(node, children=(TraceNode("answer", region, False, str(failed)), *node.children))
    answer = {"model_version": reply.model_version, "release_digest": reply.release_digest}
    return trace(store, tenant, task, region, trusted, answer)
