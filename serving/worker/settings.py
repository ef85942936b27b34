"""Settings of a worker, `PEDIGREE_WORKER_…`; those of Kafka and Redis stand with their clients."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class WorkerSettings(BaseSettings):
    """triton: the region's HTTP address, triton_grpc: host:port. in_flight: rows that are asked at once.

    waiting: messages of a partition that lie here before it is paused. Times in seconds.
    """

    model_config = SettingsConfigDict(env_prefix="PEDIGREE_WORKER_", frozen=True)
    host: str = "127.0.0.1"
    port: int = 8081
    triton_grpc: str = "127.0.0.1:8001"
    group: str = "pedigree.workers"
    in_flight: int = 32
    waiting: int = 500
    attempts: int = 3
    kept_results: float = 3600.0
    kept_answers: float = 600.0
