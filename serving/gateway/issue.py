"""Issues credentials: API keys anywhere, tokens by the local issuer, which stands in for a company's own (OAuth2)."""

import hashlib
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

import orjson
from joserfc import jwt
from joserfc.jwk import ECKey

from governance.custody.durable import replace
from serving.gateway.auth import KEY_PREFIX
from serving.messages import Tier

SCOPES = ("infer", "models")


def create_issuer(folder: Path) -> None:
    """A signing key in `folder`/issuer.json and its public half in jwks.json; what exists is kept."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    private = folder / "issuer.json"
    if not private.exists():
        key = ECKey.generate_key("P-256", {"kid": secrets.token_hex(8), "use": "sig", "alg": "ES256"})
        replace(private, orjson.dumps(key.as_dict(private=True)), 0o600)
    key = ECKey.import_key(orjson.loads(private.read_bytes()))
    if not (folder / "jwks.json").exists():
        replace(folder / "jwks.json", orjson.dumps({"keys": [key.as_dict(private=False)]}), 0o644)


def token(
    folder: Path, tenant: str, tier: Tier, issuer: str, audience: str,
    scopes: Sequence[str] = SCOPES, seconds: float = 3600,
) -> str:  # fmt: skip
    """A bearer token of the issuer in `folder`. Raises OSError without one."""
    key = ECKey.import_key(orjson.loads((folder / "issuer.json").read_bytes()))
    now = time.time()
    claims = {"iss": issuer, "aud": audience, "iat": int(now), "exp": now + seconds, "tenant": tenant, "tier": tier}
    return jwt.encode({"alg": "ES256", "kid": key.kid}, claims | {"scope": " ".join(scopes)}, key)


def api_key(file: Path, tenant: str, tier: Tier, scopes: Sequence[str] = SCOPES, expires: float | None = None) -> str:
    """A new API key; `file` keeps its digest. It is shown once, here."""
    name, secret = secrets.token_hex(8), secrets.token_hex(32)
    kept = orjson.loads(file.read_bytes()) if file.exists() else {}
    kept[name] = {
        "sha256": hashlib.sha256(secret.encode()).hexdigest(),
        "tenant": tenant,
        "tier": tier,
        "scopes": list(scopes),
        "expires": expires,
    }
    replace(file, orjson.dumps(kept, option=orjson.OPT_INDENT_2), 0o600)
    return f"{KEY_PREFIX}_{name}_{secret}"
