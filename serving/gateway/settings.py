"""Settings of a gateway, `PEDIGREE_GATEWAY_…`; those of Kafka and Redis stand with their clients."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from serving.messages import Tier


class GatewaySettings(BaseSettings):
    """`region` and `triton`: where the models answer. `routing_file`: by which policies `auto` is answered, if at all.

    Times in seconds, rates in requests a second.
    """

    model_config = SettingsConfigDict(env_prefix="PEDIGREE_GATEWAY_", frozen=True)
    host: str = "127.0.0.1"
    port: int = 8080
    region: str = "local"
    triton: str = ""
    jwks_file: Path = Path("jwks.json")
    api_keys_file: Path = Path("api-keys.json")
    routing_file: Path | None = None
    issuer: str = "pedigree-local"
    audience: str = "pedigree"
    deadline: float = 5.0
    longest_deadline: float = 60.0
    in_flight: int = 20_000
    target: dict[Tier, float] = {"enterprise": 0.7, "free": 1.0}
    share: dict[Tier, float] = {"enterprise": 1.0, "free": 0.5}
    rate: dict[Tier, float] = {"enterprise": 500.0, "free": 50.0}
    burst: dict[Tier, float] = {"enterprise": 1000.0, "free": 100.0}
