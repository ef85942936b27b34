"""What a replica tells Prometheus. Labels are models of the region's own pointers, so they are bounded."""

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.bytes = Counter("pedigree_replica_bytes", "Bytes fetched", registry=self.registry)
        self.switches = Counter("pedigree_replica_switches", "Releases switched to", registry=self.registry)
        self.refusals = Counter(
            "pedigree_replica_refusals", "What was not let in", ["model", "kind"], registry=self.registry
        )
        self.lag = Gauge(
            "pedigree_replica_lag_seconds",
            "Age of a pointer not followed yet",
            ["model"],
            registry=self.registry,
        )
        self.log_refused = Gauge(
            "pedigree_replica_audit_log_refused",
            "1 while the region does not countersign the audit log",
            registry=self.registry,
        )
        self.success = Gauge(
            "pedigree_replica_last_success_timestamp_seconds", "Last time all was as it should", registry=self.registry
        )

    def text(self) -> bytes:
        return generate_latest(self.registry)
