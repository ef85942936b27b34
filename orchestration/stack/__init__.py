"""The local stack: every server that Pedigree talks to, as real servers on loopback with their state in `state_dir`.

`start` brings up what is missing, `stop` ends all of it, `health` asks each part. The parts are described in the
files beside this one; supervisor.py runs them.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestration.settings import Settings, load_settings
from orchestration.stack import (
    dagster,
    gateway,
    kafka,
    local,
    mlflow,
    pages,
    ports,
    redis,
    replica,
    seaweedfs,
    supervisor,
    triton,
    worker,
)
from orchestration.stack.supervisor import Entry, Part, StackError

Ports = Mapping[str, Mapping[str, int]]
Ledger = dict[str, Entry]
Report = Callable[[str, str], None]


@dataclass(frozen=True)
class Plan:
    """How to make a part once the ports are known.

    `needs` are the parts that must answer before it starts, `knows` those that it only is told the address of.
    """

    ports: Mapping[str, int | None]
    build: Callable[[Settings, Ports], Part]
    needs: tuple[str, ...] = ()
    knows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Health:
    """What `status` says about one part; `remark` tells why it is not healthy."""

    part: str
    pid: int | None
    healthy: bool
    address: str
    remark: str = ""


def plans(settings: Settings) -> dict[str, Plan]:
    """Every part of the stack by name, in the order in which people read about them."""
    code, web = "dagster-code", "dagster-webserver"
    near = triton.part_name(gateway.region(settings))
    return {
        "seaweedfs": Plan(seaweedfs.PORTS, lambda s, ports: seaweedfs.part(s, ports["seaweedfs"])),
        "mlflow": Plan(mlflow.PORTS, lambda s, ports: mlflow.part(s, ports["mlflow"])),
        "pages": Plan(pages.PORTS, lambda s, ports: pages.part(s, ports["pages"])),
        **{triton.part_name(region): _triton(region) for region in settings.company().regions},
        **{replica.part_name(region): _replica(region) for region in settings.company().regions},
        **_broker(settings),
        "redis": Plan(redis.PORTS, lambda s, ports: redis.part(s, ports["redis"])),
        "gateway": Plan(gateway.PORTS, gateway.part, ("kafka", "redis"), (near, "seaweedfs")),
        **{name: _worker(name, near) for name in worker.NAMES},
        code: Plan(dagster.CODE_PORTS, lambda s, ports: dagster.code_server(s, ports[code]), ("seaweedfs",)),
        web: Plan(dagster.WEBSERVER_PORTS, lambda s, ports: dagster.webserver(s, ports[web], ports[code]), (code,)),
        "dagster-daemon": Plan({}, lambda s, ports: dagster.daemon(s, ports[web], ports[code]), (web,)),
    }


def start(settings: Settings, parts: Iterable[str] | None = None, report: Report | None = None) -> Settings:
    """Start what does not run yet of `parts` (default: all) and what they need; the settings with their addresses.

    `report(part, "starting" | "ready")` hears what is waited for. Raises StackError; what was started stays up.
    """
    known = plans(settings)
    wanted = _with_needs(known, parts or known)
    with supervisor.one_at_a_time(settings.state_dir):
        settings = _reload(settings)  # whoever held the lock may have made the credentials
        ledger = supervisor.read_ledger(settings.state_dir)
        missing = {name: known[name] for name in wanted if not _runs(ledger, name)}
        supervisor.stop([ledger[name] for name in missing if name in ledger])  # what a killed part left behind
        _assign_ports(ledger, missing)
        local.create_missing_keys(settings)
        local.write_stack_settings(settings, _addresses(settings, ledger))
        settings = _reload(settings)
        _bring_up(settings, {name: known[name] for name in wanted}, ledger, report or (lambda part, news: None))
    return settings


def stop(settings: Settings) -> list[str]:
    """End every part that `start` started, dependents first; the names of those that ran. Raises StackError."""
    with supervisor.one_at_a_time(settings.state_dir):
        ledger = supervisor.read_ledger(settings.state_dir)
        ran = [name for name in ledger if _runs(ledger, name)]
        for level in sorted({entry.level for entry in ledger.values()}, reverse=True):
            supervisor.stop([entry for entry in ledger.values() if entry.level == level])
    return ran


def health(settings: Settings) -> list[Health]:
    """Every part, asked now."""
    ledger = supervisor.read_ledger(settings.state_dir)
    return [_health(settings, name, plan, ledger) for name, plan in plans(settings).items()]


def _health(settings: Settings, name: str, plan: Plan, ledger: Ledger) -> Health:
    process = supervisor.running(ledger[name]) if name in ledger else None
    if process is None:
        return Health(name, None, False, "", "not running; `pedigree up` starts it")
    part = plan.build(settings, _ports(ledger))
    try:
        healthy = part.ready(ledger[name].started)
        return Health(name, process.pid, healthy, part.address, "" if healthy else f"no answer; see {ledger[name].log}")
    except StackError as fault:
        return Health(name, process.pid, False, part.address, str(fault))


def _with_needs(known: Mapping[str, Plan], names: Iterable[str]) -> list[str]:
    """`names` and what they need or know, in the order of `known`. Raises StackError for a name that nobody has."""
    wanted: set[str] = set()
    queue = list(names)
    while queue:
        name = queue.pop()
        if name not in known:
            raise StackError(f"the stack has no part {name!r}; it has {', '.join(known)}")
        wanted.add(name)
        queue.extend([*known[name].needs, *known[name].knows])
    return [name for name in known if name in wanted]


def _reload(settings: Settings) -> Settings:
    return load_settings(state_dir=settings.state_dir, company_file=settings.company_file)


def _runs(ledger: Ledger, name: str) -> bool:
    return name in ledger and supervisor.running(ledger[name]) is not None


def _ports(ledger: Ledger) -> Ports:
    return {name: entry.ports for name, entry in ledger.items()}


def _assign_ports(ledger: Ledger, missing: Mapping[str, Plan]) -> None:
    """Keep the ports a part had; on a cold start a part whose port was taken meanwhile moves. Raises StackError."""
    warm = any(_runs(ledger, name) for name in ledger)
    taken: set[int] = {port for entry in ledger.values() for port in entry.ports.values()}
    for name, plan in missing.items():
        entry = ledger.setdefault(name, Entry())
        lost = [port for port in entry.ports.values() if not ports.is_free(port)]
        if lost and warm:
            raise StackError(
                f"port {lost[0]} of {name} was taken by another program while {name} was down, and the rest of the "
                "stack expects it there; end that program, or run `pedigree down` and `pedigree up`"
            )
        if lost or set(entry.ports) != set(plan.ports):
            entry.ports = ports.choose(plan.ports, taken)
            taken |= set(entry.ports.values())


def _triton(region: str) -> Plan:
    return Plan(triton.PORTS, lambda s, ports: triton.part(s, region, ports[triton.part_name(region)]))


def _replica(region: str) -> Plan:
    name, server = replica.part_name(region), triton.part_name(region)
    return Plan(
        replica.PORTS,
        lambda s, ports: replica.part(s, region, ports[name], triton.address(ports[server])),
        ("seaweedfs", server),
    )


def _worker(name: str, near: str) -> Plan:
    return Plan(worker.PORTS, lambda s, ports: worker.part(s, name, ports), ("kafka", "redis"), (near,))


def _broker(settings: Settings) -> dict[str, Plan]:
    """What keeps its log in S3 short goes with it."""
    if settings.broker_log == "memory":
        return {"kafka": Plan(kafka.PORTS, lambda s, ports: kafka.part(s, ports["kafka"]))}
    return {
        "kafka": Plan(kafka.PORTS, lambda s, ports: kafka.part(s, ports["kafka"]), ("seaweedfs",), (kafka.LOG,)),
        kafka.LOG: Plan({}, lambda s, ports: kafka.log_part(s), ("seaweedfs",)),
    }


def _addresses(settings: Settings, ledger: Ledger) -> dict[str, Any]:
    """The settings that follow from where the parts listen."""
    addresses: dict[str, Any] = {
        key: {
            region: part.address(ledger[name].ports)
            for region in settings.company().regions
            if (name := part.part_name(region)) in ledger
        }
        for key, part in (("triton", triton), ("replicas", replica))
    }
    for key, name, address in (
        ("s3_endpoint", "seaweedfs", seaweedfs.address),
        ("mlflow_uri", "mlflow", mlflow.address),
        ("pages_url", "pages", pages.address),
        ("dagster_url", "dagster-webserver", dagster.address),
        ("gateway_url", "gateway", gateway.address),
    ):
        if name in ledger:
            addresses[key] = address(ledger[name].ports)
    return addresses


def _bring_up(settings: Settings, wanted: Mapping[str, Plan], ledger: Ledger, report: Report) -> None:
    """Start each part that does not run as soon as those that it needs answer, and wait until all of them do."""
    waiting = dict(wanted)
    running: dict[str, Part] = {}
    while waiting:
        for name, plan in [*waiting.items()]:
            if name not in running and waiting.keys().isdisjoint(plan.needs):
                running[name] = plan.build(settings, _ports(ledger))
                report(name, "starting")
                if not _runs(ledger, name):
                    log = settings.state_dir / "logs" / f"{name}.log"
                    ledger[name] = supervisor.spawn(running[name], ledger[name].ports, log)
                    ledger[name].level = len(_with_needs(wanted, [name]))
                    supervisor.write_ledger(settings.state_dir, ledger)
            if name in running and supervisor.is_ready(running[name], ledger[name]):
                if name == "seaweedfs":
                    local.create_missing_buckets(settings)
                    local.record_created_keys(settings)
                del waiting[name]
                report(name, "ready")
        time.sleep(0.05)
