"""The worker as a process: the loop, and its /healthz, /readyz and /metrics."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI

from serving import operations
from serving.kafka import KafkaSettings
from serving.redis import Redis, RedisSettings
from serving.worker.answers import Model
from serving.worker.region import Region
from serving.worker.settings import WorkerSettings
from serving.worker.worker import Worker


def create_app(model: Model | None = None) -> FastAPI:
    """With the settings of the environment. `model` is asked instead of the region's Triton where it is given."""
    settings = WorkerSettings()

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        redis = Redis(RedisSettings())
        worker = Worker(KafkaSettings(), redis, settings, model or Region(settings.triton_grpc))
        app.state.worker, app.state.redis = worker, redis
        await worker.start()
        yield
        await worker.stop()
        await redis.close()

    async def dependencies() -> Mapping[str, str]:
        worker: Worker = app.state.worker
        return {
            "kafka": "ok" if worker.ready else "no answer, or no partition yet",
            "redis": "ok"
            if await app.state.redis.ping()
            else "no answer; nothing is remembered, everything is executed",
            "triton": "ok" if worker.region_answers else "no answer; requests wait for it until their deadline",
        }

    app = FastAPI(title="Pedigree worker", lifespan=running, openapi_url=None)
    app.include_router(operations.routes(dependencies, needed=("kafka",)))
    return app
