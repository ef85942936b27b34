"""Who calls: an OAuth2 bearer JWT, or an API key. Anything that is not surely valid is 401.

A token is signed by a key of the JWKS file, named by its `kid`, with an asymmetric algorithm of that key's kind. The
file is read again when it changes, so keys rotate without a restart. Of an API key only the digest is kept.
"""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from governance.tenants import Slug
from serving.gateway.problems import Problem
from serving.gateway.settings import GatewaySettings
from serving.messages import Tier

ALGORITHMS = ["ES256", "RS256", "Ed25519"]
KEY_PREFIX = "pdg"
MOST_KNOWN = 10_000  # verified tokens that are not verified again
COOKIE = "__Host-pedigree"
PAGE = "Pedigree-Page"


class Claims(BaseModel):
    """Of a token, beside iss, aud, exp."""

    tenant: Slug
    tier: Tier
    scope: str
    exp: float


class ApiKey(BaseModel):
    """As the file keeps it. sha256: of the secret, which has 256 random bits, so no slow hash is needed."""

    model_config = ConfigDict(extra="forbid")
    sha256: str
    tenant: Slug
    tier: Tier
    scopes: list[str]
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    tenant: str
    tier: Tier
    scopes: frozenset[str]
    expires: float


class Refused(ValueError):
    """The credentials are not valid."""


class Authority:
    """Reads credentials against the two files."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._claims = jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": settings.issuer},
            aud={"essential": True, "value": settings.audience},
            exp={"essential": True},
        )
        self._stamps: tuple[Any, Any] = (None, None)
        self._keys = KeySet([])
        self._api_keys: dict[str, ApiKey] = {}
        self._known: dict[str, Caller] = {}

    def caller(self, authorization: str | None) -> Caller:
        """Who sent this `Authorization` header. Raises Problem 401."""
        self._look()
        scheme, _, credentials = (authorization or "").partition(" ")
        try:
            if scheme.lower() != "bearer" or not credentials:
                raise Refused("the header `Authorization: Bearer …` with a token or an API key is missing")
            caller = self._known.get(credentials) or self._read(credentials)
            if caller.expires <= time.time():
                raise Refused("the credentials have expired; get new ones")
        except Refused as refused:
            raise Problem(401, str(refused), WWW_Authenticate='Bearer realm="pedigree"') from refused
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[credentials] = caller
        return caller

    def _read(self, credentials: str) -> Caller:
        if credentials.startswith(f"{KEY_PREFIX}_"):
            return self._of_api_key(credentials)
        return self._of_token(credentials)

    def _of_token(self, token: str) -> Caller:
        try:
            header = json.loads(_unpadded(token.split(".")[0]))
            if not isinstance(header, dict) or not header.get("kid"):
                raise Refused("the token names no key (kid)")
            decoded = jwt.decode(token, self._keys, algorithms=ALGORITHMS)
            self._claims.validate(decoded.claims)
            claims = Claims.model_validate(decoded.claims)
        except (JoseError, ValidationError, ValueError, TypeError) as refused:
            kind = type(refused).__name__ if not isinstance(refused, Refused) else str(refused)
            raise Refused(f"the token is not valid: {kind}") from refused
        return Caller(claims.tenant, claims.tier, frozenset(claims.scope.split()), claims.exp)

    def _of_api_key(self, key: str) -> Caller:
        if not (match := re.fullmatch(rf"{KEY_PREFIX}_([0-9a-f]{{16}})_([0-9a-f]{{64}})", key)):
            raise Refused("this is not an API key")
        kept = self._api_keys.get(match[1])
        given = hashlib.sha256(match[2].encode()).hexdigest()
        if not hmac.compare_digest(given, kept.sha256 if kept else "") or kept is None:
            raise Refused("the API key is not known")
        return Caller(kept.tenant, kept.tier, frozenset(kept.scopes), kept.expires or float("inf"))

    def _look(self) -> None:
        """Read the files again when one changed. A broken one lets nobody in, rather than the ones before.

        Two stats a request: whoever was given a key may use it in the next instant.
        """
        files = (self._settings.jwks_file, self._settings.api_keys_file)
        if (stamps := tuple(map(_stamp, files))) != self._stamps:
            self._stamps, self._known = stamps, {}
            self._keys, self._api_keys = _read_keys(files[0]), _read_api_keys(files[1])


def presented(headers: Mapping[str, str], cookies: Mapping[str, str]) -> str | None:
    """The `Authorization` that a request comes with: its header, or what the cookie of a browser session holds.

    The cookie counts beside the header PAGE alone, which no other site can make a browser send. Raises Problem 403.
    """
    if (given := headers.get("authorization")) or COOKIE not in cookies:
        return given
    if PAGE not in headers:
        raise Problem(403, f"a browser's session is for the page alone: the header {PAGE} is missing")
    return f"Bearer {cookies[COOKIE]}"


def require(caller: Caller, scope: str) -> None:
    """Raises Problem 403 without the scope."""
    if scope not in caller.scopes:
        raise Problem(403, f"the credentials lack the scope `{scope}`")


def _read_keys(file: Path) -> KeySet:
    try:
        return KeySet.import_key_set(orjson.loads(file.read_bytes()))
    except (OSError, ValueError, KeyError, JoseError):
        return KeySet([])


def _read_api_keys(file: Path) -> dict[str, ApiKey]:
    try:
        return TypeAdapter(dict[str, ApiKey]).validate_json(file.read_bytes())
    except (OSError, ValueError):
        return {}


def _stamp(file: Path) -> Any:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _unpadded(part: str) -> bytes:
    import base64

    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
