"""How people sign in here, by the settings: not at all, at an OpenID provider, or at a load balancer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from fastapi import APIRouter

from api.people import ClaimRules, Identify
from api.settings import ApiSettings


def who_is_signed_in(settings: ApiSettings, now: Callable[[], datetime]) -> tuple[Identify | None, Sequence[APIRouter]]:
    """What tells who is signed in, and the routes of sign-in and sign-out; (None, none) without sign-in."""
    if settings.sign_in is None:
        return None, ()
    # Imported where people sign in alone: 0.1 s of each start else.
    from api.routes.sign_in import load_balancer_routes, sign_in_routes, sign_out_routes

    rules = ClaimRules(settings.oidc_name_claim, settings.oidc_roles_claim, settings.grants)
    if settings.sign_in == "load_balancer":
        from api.load_balancer import LoadBalancer

        issuer, client_id = settings.oidc_issuer, settings.oidc_client_id
        door = LoadBalancer(settings.alb_arn, settings.alb_key_url, issuer, client_id, rules, now)
        return door.principal, (load_balancer_routes(settings), sign_out_routes(settings, None))
    from api.sessions import Sessions, SignedCookies

    sessions = Sessions(SignedCookies(settings.session_secret, settings.home, now), settings.session_hours)
    routes = (sign_in_routes(settings, sessions, rules), sign_out_routes(settings, sessions))
    return sessions.principal, routes
