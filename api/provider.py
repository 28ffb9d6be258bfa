"""The OpenID provider that people sign in at: the authorisation code flow with PKCE, by Authlib.

Source: OpenID Connect Core 1.0, RFC 7636. Authlib makes and compares state, nonce and code verifier, and checks the
signature, issuer, audience and times of the ID token.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import httpx
from authlib.deprecate import AuthlibDeprecationWarning
from fastapi import Request
from joserfc.errors import JoseError

from api.problems import RETRY_AFTER_S, ProblemError
from api.settings import ApiSettings

with warnings.catch_warnings():
    # It asks for httpx2 at each start, and takes httpx, which the rest of this project uses, just as well.
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.integrations.starlette_client import OAuth, OAuthError

_PATIENCE_S = 10.0
_NEEDED = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
# Never HS256, whose key is the client's secret, and never none.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")


class Provider:
    """Sends people to the provider, and reads what they bring back."""

    def __init__(self, settings: ApiSettings) -> None:
        self._issuer, self._client_id = settings.oidc_issuer, settings.oidc_client_id
        self._wanted = (settings.oidc_name_claim, settings.oidc_roles_claim)
        self._callback = f"{settings.home}/sign-in/callback"
        self._client = OAuth().register(
            "oidc",
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret or None,
            server_metadata_url=f"{settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": settings.oidc_scopes, "code_challenge_method": "S256", "timeout": _PATIENCE_S,
                "token_endpoint_auth_method": "client_secret_basic" if settings.oidc_client_secret else "none",
            },
        )  # fmt: skip

    async def address(self, request: Request) -> str:
        """Where to send the browser; what to expect of its return is put into the request's session.

        ProblemError 503 when the provider cannot be asked.
        """
        await self._load_description()
        made = await self._client.create_authorization_url(self._callback)
        # Less the address, which is long, and which nothing is compared with.
        kept = {name: value for name, value in made.items() if name != "url"}
        await self._client.save_authorize_data(request, redirect_uri=self._callback, **kept)
        return str(made["url"])

    async def claims(self, request: Request) -> Mapping[str, Any]:
        """Verified claims about who comes back from the provider.

        ProblemError 400 when this browser did not start it or the provider says no; 503 when it cannot be asked.
        """
        expected = {
            "iss": {"essential": True, "value": self._issuer},
            "aud": {"essential": True, "value": self._client_id},
        }
        await self._load_description()
        try:
            token = await self._client.authorize_access_token(request, claims_options=expected)
            claims: Mapping[str, Any] | None = token.get("userinfo")
            if claims is None:
                raise ProblemError(
                    400, "the identity provider sent no ID token; is openid among DEMAND_API_OIDC_SCOPES?"
                )
            return await self._completed(claims, token)
        except httpx.HTTPError as error:
            raise self._unavailable(error) from None
        except OAuthError as error:
            raise ProblemError(400, _explained(error)) from None
        except (JoseError, ValueError) as error:
            said = f"{type(error).__name__}: {error}"[:200]
            raise ProblemError(400, f"the identity provider's ID token is not valid ({said})") from None

    async def _completed(self, claims: Mapping[str, Any], token: Mapping[str, Any]) -> Mapping[str, Any]:
        """With those of the provider's user info, where the ID token has not all that is needed."""
        metadata = self._client.server_metadata
        if all(name in claims for name in self._wanted) or "userinfo_endpoint" not in metadata:
            return claims
        further = await self._client.userinfo(token=token)
        # As the standard asks: another person's would otherwise do. Source: OpenID Connect Core 1.0, 5.3.2.
        if further.get("sub") != claims["sub"]:
            raise ProblemError(400, "the identity provider's user info is about somebody else than its ID token")
        return {**further, **claims}

    async def _load_description(self) -> None:
        """Ask for what the provider says of itself, once; ProblemError 503 for no answer or that of another."""
        try:
            metadata = await self._client.load_server_metadata()
        except (httpx.HTTPError, ValueError) as error:
            raise self._unavailable(error) from None
        missing = [name for name in _NEEDED if name not in metadata]
        if missing or metadata["issuer"] != self._issuer:
            said = f"lacks {', '.join(missing)}" if missing else f"calls itself {str(metadata['issuer'])[:200]}"
            metadata.pop("_loaded_at", None)  # asked again the next time
            raise ProblemError(503, f"DEMAND_API_OIDC_ISSUER: the provider at {self._issuer} {said}")
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        metadata["id_token_signing_alg_values_supported"] = [name for name in offered if name in _ALGORITHMS]

    def _unavailable(self, error: Exception) -> ProblemError:
        return ProblemError(
            503,
            f"the identity provider {self._issuer} cannot be asked ({type(error).__name__}); try again later",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )


def _explained(error: OAuthError) -> str:
    if error.error == "mismatching_state":
        return "this sign-in was not started in this browser, or took too long"
    return f"the identity provider refuses the sign-in: {error.error} {error.description or ''}".strip()[:300]
