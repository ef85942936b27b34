"""Every metric that a process of Pedigree tells."""

import re
from pathlib import Path

TRITON = Path(__file__).resolve().parents[2] / "serving" / "triton" / "backend" / "metrics.py"


def asked(expression: str) -> set[str]:
    """The metrics that a query names; what a rule records (with colons) is not one."""
    return set(re.findall(r"(?<![\w:])pedigree_\w+\b(?!:)", expression))


def known() -> set[str]:
    """As Prometheus knows them: of gateway, worker, replica, and of Triton's backend, which is read, not imported."""
    from prometheus_client import REGISTRY

    import serving.gateway.exchange
    import serving.worker.worker  # noqa: F401
    from serving.replication.metrics import Metrics

    families = [*REGISTRY.collect(), *Metrics().registry.collect()]
    names = {sample.name for family in families for sample in family.samples}
    names |= {name for family in families for name in (family.name, f"{family.name}_total", f"{family.name}_bucket")}
    return names | {
        f"{name}{ending}"
        for name, kind in re.findall(r'_family\("(\w+)", "[^"]+", "(\w+)"', TRITON.read_text())
        for ending in (("_bucket",) if kind == "HISTOGRAM" else ("",))
    }
