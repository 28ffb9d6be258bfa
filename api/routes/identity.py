"""Who asks, and what they may."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.parameters import NO_PARAMETERS
from api.people import Principal
from api.responses import conditional_response
from api.schemas import Me
from api.service import ServiceDep
from demand_assets.store.keys import SCOPES

router = APIRouter(prefix="/v1", tags=["Operation"])


@router.get("/me", summary="Who asks", response_model=Me, dependencies=[NO_PARAMETERS])
async def get_me(request: Request, service: ServiceDep) -> Response:
    """The owner of the API key, or the person who is signed in, and what they may do.

    Where neither is asked for, `kind` is `local` and everything is allowed.
    """
    who: Principal | None = request.scope.get("principal")
    if who is None:
        me = Me(name=service.settings.local_user, kind="local", roles=[], scopes=list(SCOPES), expires_at=None)
    else:
        scopes = [scope for scope in SCOPES if scope in who.scopes]
        me = Me(name=who.name, kind=who.kind, roles=list(who.roles), scopes=scopes, expires_at=who.expires_at)
    return conditional_response(request, me.model_dump_json().encode(), headers={"Cache-Control": "no-store"})
