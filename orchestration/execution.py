"""Which executor runs the steps of a run: one choice, made here.

In-process where a run is one machine's work: the multiprocess executor costs some 3 s a step, mostly imports. In a
cluster each step is a Kubernetes job (`pip install pedigree[cluster]`).
"""

import dagster as dg


def executor(name: str) -> dg.ExecutorDefinition:
    """The executor that the settings name: `in_process` or `k8s`."""
    if name == "in_process":
        return dg.in_process_executor
    if name == "k8s":
        from dagster_k8s import k8s_job_executor

        return k8s_job_executor
    raise ValueError(f"PEDIGREE_EXECUTOR is {name!r}; use in_process or k8s")
