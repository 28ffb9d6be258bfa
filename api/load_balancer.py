"""Who an Application Load Balancer has signed in, by the header that it adds to each request.

Source: AWS, Elastic Load Balancing, "Authenticate users using an Application Load Balancer".
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from api.people import ClaimRules, Principal
from api.problems import RETRY_AFTER_S, ProblemError

HEADER = "x-amzn-oidc-data"
# The cookies that hold its session; it makes as many as it needs, four at most.
COOKIES = tuple(f"AWSELBAuthSessionCookie-{number}" for number in range(4))
_KEY_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_PATIENCE_S = 3.0
# Bytes of r and of s, which an ES256 signature is. Source: RFC 7518, 3.4.
_HALF = 32
_MOST_KEYS = 16


class LoadBalancer:
    """Verifies the header of the load balancer `arn`; its public keys are fetched when first seen, and kept."""

    def __init__(
        self, arn: str, key_url: str, issuer: str, client_id: str, rules: ClaimRules, now: Callable[[], datetime]
    ) -> None:
        self._expected = {"alg": "ES256", "signer": arn, "iss": issuer, "client": client_id}
        region = arn.split(":")[3]
        self.key_url = key_url.rstrip("/") or f"https://public-keys.auth.elb.{region}.amazonaws.com"
        self._rules, self._now = rules, now
        self._keys: dict[str, ec.EllipticCurvePublicKey] = {}
        # One at a time: forged headers may name any number of keys.
        self._fetching = asyncio.Lock()

    async def principal(self, headers: Mapping[bytes, bytes]) -> Principal | None:
        """Who is signed in; None without the header, ProblemError 401 for one that the load balancer did not sign."""
        value = headers.get(HEADER.encode())
        if value is None:
            return None
        signed, _, signature = value.rpartition(b".")
        first, _, second = signed.partition(b".")
        header, claims = _json(first), _json(second)
        for name, expected in self._expected.items():
            if header.get(name) != expected:
                raise _refused(f"its {name} is not the expected one")
        ends = header.get("exp")
        if not isinstance(ends, int | float) or ends <= self._now().timestamp():
            raise _refused("it has expired")
        key = await self._key(header.get("kid"))
        try:
            key.verify(_der(_decoded(signature)), signed, ec.ECDSA(SHA256()))
        except InvalidSignature:
            raise _refused("its signature is not the load balancer's") from None
        if claims.get("iss", self._expected["iss"]) != self._expected["iss"]:
            raise _refused("its claims are of another issuer")
        return self._rules.person("load_balancer", claims, datetime.fromtimestamp(ends, UTC))

    async def _key(self, key_id: Any) -> ec.EllipticCurvePublicKey:
        # Part of an address below, so nothing else than what AWS names a key.
        if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
            raise _refused("it names no key")
        if (known := self._keys.get(key_id)) is not None:
            return known
        async with self._fetching:
            key = self._keys.get(key_id) or await self._fetched(key_id)
        if len(self._keys) >= _MOST_KEYS:
            self._keys.clear()
        self._keys[key_id] = key
        return key

    async def _fetched(self, key_id: str) -> ec.EllipticCurvePublicKey:
        try:
            async with httpx.AsyncClient(timeout=_PATIENCE_S) as client:
                answer = await client.get(f"{self.key_url}/{key_id}")
        except httpx.HTTPError as error:
            raise _unavailable(f"{self.key_url} does not answer ({type(error).__name__})") from None
        if answer.status_code >= 500:
            raise _unavailable(f"{self.key_url} answers {answer.status_code}")
        if answer.status_code != 200:
            raise _refused("AWS has no key of that name")
        try:
            key = load_pem_public_key(answer.content)
        except ValueError:
            raise _unavailable(f"{self.key_url} has no public key in PEM under that name") from None
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise _refused("its key is of another kind")
        return key


def _decoded(part: bytes) -> bytes:
    """Bytes of a part, which AWS pads and the standard does not: hence no JWT library, which would refuse it."""
    try:
        return base64.b64decode(part.rstrip(b"=") + b"=" * (-len(part.rstrip(b"=")) % 4), b"-_", validate=True)
    except binascii.Error:
        raise _refused("it is no JWT") from None


def _json(part: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(_decoded(part))
    except ValueError:
        raise _refused("it is no JWT") from None
    if not isinstance(found, dict):
        raise _refused("it is no JWT")
    return found


def _der(signature: bytes) -> bytes:
    if len(signature) != 2 * _HALF:
        raise _refused("its signature is not the load balancer's")
    return encode_dss_signature(int.from_bytes(signature[:_HALF]), int.from_bytes(signature[_HALF:]))


def _refused(reason: str) -> ProblemError:
    return ProblemError(401, f"the header {HEADER} is not valid: {reason}")


def _unavailable(reason: str) -> ProblemError:
    return ProblemError(
        503, f"the header {HEADER} cannot be checked: {reason}", headers={"Retry-After": str(RETRY_AFTER_S)}
    )
