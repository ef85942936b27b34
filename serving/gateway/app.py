"""The gateway as an ASGI application."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from serving import operations
from serving.gateway import auto, infer, kserve, page, problems, session
from serving.gateway.admission import Admission
from serving.gateway.auth import Authority
from serving.gateway.door import Door
from serving.gateway.exchange import Gateway, collect
from serving.gateway.fingerprints import Fingerprints
from serving.gateway.live import Live
from serving.gateway.rates import Rates
from serving.gateway.replies import Replies
from serving.gateway.settings import GatewaySettings
from serving.kafka import KafkaSettings
from serving.redis import Redis, RedisSettings
from serving.router import PolicyFile


def create_app() -> FastAPI:
    """With the settings of the environment; it has started when its reply partition is read. Raises PolicyRefused."""
    settings = GatewaySettings()
    policies = PolicyFile(settings.routing_file) if settings.routing_file else None

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        redis = Redis(RedisSettings())
        replies = Replies(KafkaSettings(), redis)
        app.state.gateway = Gateway(
            settings, Authority(settings), Admission(settings), redis, Rates(redis, settings), replies,
            Live(settings.triton), Fingerprints(), policies,
        )  # fmt: skip
        await replies.start()
        yield
        await replies.stop()
        await redis.close()

    app = FastAPIOffline(
        title="Pedigree", version="1", summary="Ask a tenant's models; every answer names its release digest.",
        lifespan=running, redoc_url=None,
    )  # fmt: skip
    problems.install(app)
    app.include_router(auto.router)  # first: `auto` is no task
    app.include_router(infer.router)
    app.include_router(kserve.router)
    app.include_router(session.router)
    app.include_router(page.router)
    app.include_router(operations.routes(lambda: _dependencies(app), needed=("kafka",)))
    app.add_middleware(Door)
    return app


async def _dependencies(app: FastAPI) -> Mapping[str, str]:
    """Without Redis, or while the region is down, requests are still taken."""
    gateway: Gateway = app.state.gateway
    collect(gateway)
    redis, workers = await gateway.redis.ping(), await gateway.redis.workers()
    try:
        await gateway.live.base()
        triton = "ok"
    except problems.Problem as problem:
        triton = problem.detail
    if policies := gateway.policies:
        policies.current()  # a fault of the file is told here before a request meets it
    return {
        "kafka": "ok" if gateway.replies.ready else "no answer",
        "redis": "ok" if redis else "no answer; nothing is remembered, everything is executed",
        "workers": {None: "not known", 0: "none lives"}.get(workers, "ok"),
        "triton": triton,
        "policies": (policies.fault or "ok") if policies else "none; `auto` is not answered",
    }
