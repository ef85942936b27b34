"""Credentials: what is valid, and every way in which something only looks so."""

import base64
import hashlib
import hmac
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from serving.gateway import issue
from serving.gateway.auth import Authority, require
from serving.gateway.problems import Problem
from serving.gateway.settings import GatewaySettings

CLAIMS = {"iss": "pedigree-local", "aud": "pedigree", "tenant": "northbank", "tier": "free", "scope": "infer"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    issue.create_issuer(tmp_path)
    return tmp_path


@pytest.fixture
def authority(folder: Path) -> Authority:
    return Authority(GatewaySettings(jwks_file=folder / "jwks.json", api_keys_file=folder / "api-keys.json"))


def private_key(folder: Path) -> ECKey:
    return ECKey.import_key(json.loads((folder / "issuer.json").read_text()))


def signed(key: Any, algorithm: str = "ES256", kid: str | None = None, **changes: Any) -> str:
    claims = {**CLAIMS, "exp": time.time() + 60, **changes}
    header = {"alg": algorithm} | ({"kid": kid} if kid else {})
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(header, given, key, algorithms=[algorithm])


def part(value: Any) -> str:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def refused(authority: Authority, token: str) -> str:
    with pytest.raises(Problem) as problem:
        authority.caller(f"Bearer {token}")
    assert problem.value.status == 401
    assert problem.value.headers["WWW_Authenticate"].startswith("Bearer")
    return problem.value.detail


def test_a_token_says_tenant_tier_and_scopes(authority: Authority, folder: Path) -> None:
    token = issue.token(folder, "northbank", "enterprise", "pedigree-local", "pedigree")
    caller = authority.caller(f"Bearer {token}")
    assert (caller.tenant, caller.tier, caller.scopes) == ("northbank", "enterprise", {"infer", "models"})
    require(caller, "infer")
    with pytest.raises(Problem, match="lack the scope `promote`") as problem:
        require(caller, "promote")
    assert problem.value.status == 403


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic bm9ydGhiYW5r", "northbank"])
def test_without_a_bearer_nobody_comes_in(authority: Authority, header: str | None) -> None:
    with pytest.raises(Problem, match="is missing"):
        authority.caller(header)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": time.time() - 1},
        {"exp": None},
        {"iss": "somebody"},
        {"iss": None},
        {"aud": "another-service"},
        {"aud": None},
        {"tenant": None},
        {"tenant": "../stclare"},
        {"tier": "platinum"},
        {"scope": None},
        {"nbf": time.time() + 86_400},
    ],
)
def test_a_claim_that_is_wrong_or_missing_refuses_the_token(
    authority: Authority, folder: Path, changes: dict[str, Any]
) -> None:
    key = private_key(folder)
    authority.caller(f"Bearer {signed(key, kid=key.kid)}")
    assert "not valid" in refused(authority, signed(key, kid=key.kid, **changes))


def test_no_signature_is_no_token(authority: Authority, folder: Path) -> None:
    claims = part({**CLAIMS, "exp": time.time() + 60})
    for algorithm in ("none", "None", "NONE", "nOnE"):
        refused(authority, f"{part({'alg': algorithm, 'kid': private_key(folder).kid})}.{claims}.")
    good = signed(private_key(folder), kid=private_key(folder).kid)
    refused(authority, good.rpartition(".")[0] + ".")
    refused(authority, good.rpartition(".")[0])


def test_the_public_key_is_not_taken_for_a_shared_secret(authority: Authority, folder: Path) -> None:
    key = private_key(folder)
    pem = key.public_key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, (folder / "jwks.json").read_bytes()):
        head = f"{part({'alg': 'HS256', 'kid': key.kid})}.{part({**CLAIMS, 'exp': time.time() + 60})}"
        forged = hmac.new(secret, head.encode(), hashlib.sha256).digest()
        refused(authority, f"{head}.{part(forged)}")


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES384"])
def test_another_kind_of_key_under_a_known_kid_is_refused(authority: Authority, folder: Path, algorithm: str) -> None:
    strangers = {
        "HS256": OctKey.generate_key(256),
        "RS256": RSAKey.generate_key(2048),
        "ES384": ECKey.generate_key("P-384"),
    }
    refused(authority, signed(strangers[algorithm], algorithm, kid=private_key(folder).kid))


def test_a_strangers_key_is_refused_whatever_it_calls_itself(authority: Authority, folder: Path) -> None:
    stranger = ECKey.generate_key("P-256")
    for kid in (private_key(folder).kid, "unknown", None):
        refused(authority, signed(stranger, kid=kid))
    embedded = jwt.encode(
        {"alg": "ES256", "kid": private_key(folder).kid, "jwk": stranger.as_dict(private=False)},
        {**CLAIMS, "exp": time.time() + 60},
        stranger,
    )
    refused(authority, embedded)
    assert "names no key" in refused(authority, signed(private_key(folder)))


def test_a_changed_tenant_breaks_the_signature(authority: Authority, folder: Path) -> None:
    key = private_key(folder)
    head, _, signature = signed(key, kid=key.kid).split(".")
    refused(authority, f"{head}.{part({**CLAIMS, 'tenant': 'stclare', 'exp': time.time() + 60})}.{signature}")


@pytest.mark.parametrize(
    "rubbish", ["a.b.c", "....", "eyJ.", "é.é.é", "a" * 100_000, "null.null.null", f"{part([])}.x.y"]
)
def test_rubbish_is_401_and_nothing_worse(authority: Authority, rubbish: str) -> None:
    refused(authority, rubbish)


def test_keys_rotate_without_a_restart(authority: Authority, folder: Path) -> None:
    old, new = private_key(folder), ECKey.generate_key("P-256", {"kid": "new"})
    before, after = signed(old, kid=old.kid), signed(new, kid="new")
    authority.caller(f"Bearer {before}")
    refused(authority, after)
    published = folder / "jwks.json"
    published.write_text(json.dumps({"keys": [key.as_dict(private=False) for key in (old, new)]}))
    assert {authority.caller(f"Bearer {token}").tenant for token in (before, after)} == {"northbank"}
    published.write_text(json.dumps({"keys": [new.as_dict(private=False)]}))
    authority.caller(f"Bearer {after}")
    refused(authority, before)
    published.write_text("half a file")
    refused(authority, after)


def test_a_token_that_was_valid_a_moment_ago_expires(authority: Authority, folder: Path) -> None:
    key = private_key(folder)
    token = signed(key, kid=key.kid, exp=time.time() + 0.2)
    with suppress(Problem):  # on a slow machine it has expired already
        authority.caller(f"Bearer {token}")
    time.sleep(0.3)
    refused(authority, token)


def test_of_an_api_key_only_its_digest_is_kept(authority: Authority, folder: Path) -> None:
    file = folder / "api-keys.json"
    key = issue.api_key(file, "stclare", "free", scopes=["infer"])
    assert authority.caller(f"Bearer {key}").tenant == "stclare"
    assert key.rpartition("_")[2] not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    name = key.split("_")[1]
    for forged in (
        key[:-1] + ("0" if key[-1] != "0" else "1"),
        f"pdg_{name}_{'0' * 64}",
        f"pdg_{'0' * 16}_{'0' * 64}",
        "pdg_",
    ):
        refused(authority, forged)


def test_an_api_key_is_let_in_at_once_expires_and_can_be_withdrawn(authority: Authority, folder: Path) -> None:
    authority.caller(f"Bearer {issue.api_key(folder / 'api-keys.json', 'northbank', 'free')}")
    file = folder / "api-keys.json"
    assert "expired" in refused(authority, issue.api_key(file, "stclare", "free", expires=time.time() - 1))
    key = issue.api_key(file, "stclare", "free", expires=time.time() + 60)
    authority.caller(f"Bearer {key}")
    file.write_text("{}")
    refused(authority, key)
