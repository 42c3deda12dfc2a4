"""身份 — who is asking: bearer tokens (JWT, EdDSA), signed with a key in the data folder, verifiable by its JWKS."""

from __future__ import annotations

import json
import os
import time
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import ValidationError

from domain.message import Actor, Role

ISSUER = AUDIENCE = "beeline"
LIFETIME = timedelta(hours=12)
MAX_CACHED_TOKENS = 20_000
"""Verified tokens kept: checking a signature again costs more than a look."""
ALGORITHM = "EdDSA"


class InvalidToken(ValueError):
    """The bearer token does not say who is asking; the message says why."""


class Identity:
    """Signs and verifies. The key (Ed25519, mode 0600) is made on first use."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._key = _load_or_make(folder / "identity.pem")
        self._public = self._key.public_key()
        self._jwk: dict[str, Any] = json.loads(jwt.get_algorithm_by_name(ALGORITHM).to_jwk(self._public))
        self._kid = sha256(self._jwk["x"].encode()).hexdigest()[:16]
        self._verified: OrderedDict[str, tuple[float, Actor]] = OrderedDict()

    def jwks(self) -> dict[str, Any]:
        """The public key as a JSON Web Key Set (RFC 7517)."""
        return {"keys": [{**self._jwk, "kid": self._kid, "use": "sig", "alg": ALGORITHM}]}

    def issue(
        self, person: str, roles: Iterable[Role], units: Iterable[str] = (), lifetime: timedelta = LIFETIME
    ) -> str:
        """A token for one person with all their roles, and the units in whose subtrees these hold."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": person,
            "roles": [role.value for role in roles],
            "units": list(units),
            "iat": now,
            "exp": now + int(lifetime.total_seconds()),
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"kid": self._kid})

    def verify(self, token: str) -> Actor:
        """Who the token speaks for. Raises `InvalidToken`."""
        known = self._verified.get(token)
        if known is not None and known[0] > time.time():
            return known[1]
        try:
            claims = jwt.decode(
                token,
                self._public,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": ["exp", "sub", "aud", "iss"]},
            )
            actor = Actor(person=claims["sub"], roles=claims.get("roles", ()), units=claims.get("units", ()))
        except jwt.PyJWTError as error:
            raise InvalidToken(str(error)) from error
        except ValidationError as error:
            wrong = ", ".join(".".join(map(str, each["loc"])) for each in error.errors())
            raise InvalidToken(f"the claims {wrong} are not ours") from error
        if Role.SYSTEM in actor.roles:
            raise InvalidToken("the role 'system' belongs to nobody outside")
        self._verified[token] = (float(claims["exp"]), actor)
        if len(self._verified) > MAX_CACHED_TOKENS:
            self._verified.popitem(last=False)
        return actor


def _load_or_make(path: Path) -> Ed25519PrivateKey:
    if not path.exists():
        _make(path)
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} holds no Ed25519 key")
    return key


def _make(path: Path) -> None:
    """Write a new key whole or not at all; of several processes that make one at once the first wins."""
    made = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with NamedTemporaryFile(dir=path.parent, prefix=path.name) as draft:  # mode 0600
        draft.write(made)
        draft.flush()
        os.fsync(draft.fileno())
        with suppress(FileExistsError):
            os.link(draft.name, path)
