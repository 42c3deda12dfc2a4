"""The limit of the edge: a FastAPI route that verifies the same tokens with the same code, and does nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from domain.message import Actor
from infra.identity import Identity

_bearer = HTTPBearer()


def create(data: Path) -> FastAPI:
    """The application; tokens are those of the server over ``data``."""
    app, identity = FastAPI(), Identity(data)

    async def actor_of(credentials: Annotated[HTTPAuthorizationCredentials, Depends(_bearer)]) -> Actor:
        return identity.verify(credentials.credentials)

    @app.get("/")
    async def ready() -> None:
        """It serves."""

    @app.post("/v1/reports", status_code=202, dependencies=[Depends(actor_of)])
    async def nothing() -> None:
        """Takes anything, and does nothing with it."""

    return app


if __name__ == "__main__":
    # The listener is uvicorn's own: whatever ours does to a connection belongs to the product, not to the limit.
    uvicorn.run(create(Path(sys.argv[1])), port=int(sys.argv[3]), log_level="warning", access_log=False, lifespan="off")
