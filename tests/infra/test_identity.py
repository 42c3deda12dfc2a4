"""Bearer tokens: what they say, who signs them, and what is turned away."""

from __future__ import annotations

import base64
import json
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.message import Actor, Role
from infra.identity import Identity, InvalidToken


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    return Identity(tmp_path)


def test_a_token_says_who_asks_with_all_roles_and_units(identity: Identity) -> None:
    token = identity.issue("ann", (Role.REPORTER, Role.PART_TIME_WORKER), ("440305001001001",))
    assert identity.verify(token) == Actor(
        person="ann", roles=(Role.REPORTER, Role.PART_TIME_WORKER), units=("440305001001001",)
    )


def test_the_claims_and_the_header_are_the_published_ones(identity: Identity) -> None:
    token = identity.issue("ann", [Role.REPORTER])
    claims = jwt.decode(token, options={"verify_signature": False})
    assert set(claims) == {"iss", "aud", "sub", "roles", "units", "iat", "exp"}
    assert (claims["iss"], claims["aud"], claims["exp"] - claims["iat"]) == ("beeline", "beeline", 12 * 3600)
    header = jwt.get_unverified_header(token)
    assert (header["alg"], header["kid"]) == ("EdDSA", identity.jwks()["keys"][0]["kid"])


def test_anybody_can_verify_with_the_key_set(identity: Identity) -> None:
    key_set = jwt.PyJWKSet.from_dict(identity.jwks())
    token = identity.issue("ann", [Role.REPORTER])
    key = key_set[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, algorithms=["EdDSA"], audience="beeline")["sub"] == "ann"
    assert "d" not in identity.jwks()["keys"][0], "the private half is nobody's business"


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    token = Identity(tmp_path).issue("ann", [Role.REPORTER])
    assert Identity(tmp_path).verify(token).person == "ann"
    assert (tmp_path / "identity.pem").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["identity.pem"]


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    made: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: made.append(Identity(tmp_path).jwks())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert all(each == made[0] for each in made)


def test_an_expired_token_is_turned_away_also_when_it_was_seen_before(identity: Identity) -> None:
    token = identity.issue("ann", [Role.REPORTER], lifetime=timedelta(seconds=-1))
    with pytest.raises(InvalidToken, match="expired"):
        identity.verify(token)
    identity._verified[token] = (time.time() - 1, Actor(person="ann", roles=(Role.REPORTER,)))
    with pytest.raises(InvalidToken, match="expired"):
        identity.verify(token)


def test_a_changed_token_is_turned_away(identity: Identity) -> None:
    head, body, signature = identity.issue("ann", [Role.REPORTER]).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["roles"] = ["administrator"]
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    with pytest.raises(InvalidToken, match="Signature"):
        identity.verify(f"{head}.{forged}.{signature}")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "ey.ey.ey", "é" * 100])
def test_rubbish_is_turned_away(identity: Identity, token: str) -> None:
    with pytest.raises(InvalidToken):
        identity.verify(token)


def test_another_key_or_no_key_is_turned_away(identity: Identity, tmp_path: Path) -> None:
    with pytest.raises(InvalidToken):
        identity.verify(Identity(tmp_path / "other").issue("ann", [Role.REPORTER]))
    claims = jwt.decode(identity.issue("ann", [Role.REPORTER]), options={"verify_signature": False})
    unsigned = jwt.encode(claims, "", algorithm="none")
    with pytest.raises(InvalidToken):
        identity.verify(unsigned)


def signed_by(identity: Identity, **changes: object) -> str:
    """A token with our signature and other claims."""
    claims = jwt.decode(identity.issue("ann", [Role.REPORTER]), options={"verify_signature": False}) | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    key = identity._key
    assert isinstance(key, Ed25519PrivateKey)
    return jwt.encode(claims, key, algorithm="EdDSA")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody"},
        {"aud": "another"},
        {"exp": None},
        {"sub": None},
        {"roles": ["emperor"]},
        {"roles": "reporter"},
        {"roles": ["system"]},
        {"units": [7]},
    ],
    ids=lambda changes: str(changes),
)
def test_claims_that_are_not_ours_are_turned_away(identity: Identity, changes: dict[str, object]) -> None:
    assert identity.verify(signed_by(identity)).person == "ann"
    with pytest.raises(InvalidToken):
        identity.verify(signed_by(identity, **changes))


def test_verified_tokens_are_remembered_within_bounds(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.identity.MAX_CACHED_TOKENS", 3)
    tokens = [identity.issue(f"p-{number}", [Role.REPORTER]) for number in range(5)]
    for token in tokens:
        identity.verify(token)
    assert list(identity._verified) == tokens[-3:]
    assert identity.verify(tokens[0]).person == "p-0"
