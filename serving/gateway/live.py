"""What is live in the region, asked of its Triton: the gateway holds no list of models."""

import asyncio
import time
from typing import Any

from serving.gateway.problems import Problem
from serving.triton import client

FRESH_SECONDS = 1.0


class Live:
    """The region's STATUS, asked at most once a second."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._said: dict[str, Any] = {}
        self._asked = float("-inf")
        self._asking = asyncio.Lock()

    async def models(self, tenant: str) -> dict[str, dict[str, Any]]:
        """tenant.task → {release, digest, since} of every model of the tenant that answers. Raises Problem 503."""
        said = await self._status()
        return {
            name: {what: model.get(what) for what in ("release", "digest", "since")}
            for name, model in said["models"].items()
            if name.startswith(f"{tenant}.") and model["digest"]
        }

    async def base(self) -> str:
        """The digest of the resident base. Raises Problem 503."""
        return str((await self._status())["base"])

    async def _status(self) -> dict[str, Any]:
        async with self._asking:
            if time.monotonic() > self._asked + FRESH_SECONDS:
                try:
                    self._said = await asyncio.to_thread(client.status, self._address, 2.0)
                except client.RequestFailed as error:
                    raise Problem(503, "the region does not tell what is live; try again", 1) from error
                self._asked = time.monotonic()
        return self._said
