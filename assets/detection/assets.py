"""pii_detector: what finds people in text; trained, judged, signed. A new one makes scrubbed data stale."""

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import dagster as dg

from assets.line import picture, table
from governance.custody.records import read_record
from governance.custody.store import ObjectStore
from governance.tenants import Company
from serving.engine import base_folder

if TYPE_CHECKING:
    from assets.detection.build import Built


class DetectorConfig(dg.Config):
    """`documents`: made-up ones to learn from. `base`: the declared base that gives words their meaning."""

    seed: int = 20
    documents: int = 120_000
    base: str = "minilm"


@dg.asset(group_name="line", kinds={"pytorch", "presidio"})
def pii_detector(
    context: dg.AssetExecutionContext,
    config: DetectorConfig,
    store: dg.ResourceParam[ObjectStore],
    company: dg.ResourceParam[Company],
    keys_dir: dg.ResourceParam[Path],
    examples_dir: dg.ResourceParam[Path],
    work: dg.ResourceParam[Path],
) -> dg.MaterializeResult:
    """The tagger of the detector: trained on made-up documents and on `labelled/*.jsonl`, gated, signed, released."""
    from assets.detection.build import Plan, build
    from assets.detection.judge import by_entity
    from assets.detection.pictures import draw_entities, draw_points
    from assets.detection.release import GateFailed, release_detector

    base = base_folder(company.bases[config.base])
    added = sorted(examples_dir.glob("*.jsonl"))
    plan = Plan(config.seed, config.documents)
    with TemporaryDirectory(dir=work) as name:
        folder, drawn = Path(name) / "detector", Path(name)
        folder.mkdir()
        built = build(folder, base, plan, added, context.log.info)
        pictures = {
            "recall and precision": picture(draw_entities(by_entity(built.held), drawn / "entities.png")),
            "operating point": picture(draw_points(built.tried, built.chosen, drawn / "points.png")),
        }
        try:
            ref = release_detector(store, keys_dir, folder, built, asdict(plan))
        except GateFailed as failed:
            raise dg.Failure(str(failed), {**pictures, **_tables(built)}) from failed
    record = read_record(store, ref)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(str(record.facts["detector_digest"])),
        metadata={"release": record.release, "record": ref.uri, **pictures, **_tables(built)},
    )


def _tables(built: "Built") -> dict[str, dg.MetadataValue]:
    from assets.detection.judge import by_entity, checks, worst_misses

    passed = ({"check": name, "passed": ok, "figure": figure} for name, (ok, figure) in checks(built).items())
    return {"gate": table(passed), "entities": table(by_entity(built.held)), "misses": table(worst_misses(built))}
