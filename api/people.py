"""Who sends a request: the owner of a key, or a person with roles.

A role is a fixed set of the scopes of keys. A person may have several; what each allows adds up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from api.problems import ProblemError
from demand_assets.store.keys import SCOPES

Kind = Literal["key", "session", "load_balancer"]
Role = Literal["viewer", "planner", "approver", "admin"]
ROLES: Mapping[Role, frozenset[str]] = {
    "viewer": frozenset({"read"}),
    "planner": frozenset({"read", "write"}),
    # Without write, so that who only approves gives no numbers; who does both has both roles.
    "approver": frozenset({"read", "approve"}),
    "admin": frozenset(SCOPES),
}
Grants = Mapping[Role, frozenset[str]]
EVERYBODY = "*"
# Name of the cookie of who is signed in.
SESSION = "demand_session"
LONGEST_NAME = 200


@dataclass(frozen=True)
class Principal:
    """Who a request comes from. `key_id` names a key; of a person it is the name."""

    key_id: str
    name: str
    scopes: frozenset[str]
    expires_at: datetime | None = None
    kind: Kind = "key"
    roles: tuple[Role, ...] = ()

    def __str__(self) -> str:
        return f"key {self.key_id}" if self.kind == "key" else f"{self.name} ({', '.join(self.roles)})"


# Who is signed in, by the headers of a request: None for nobody, ProblemError for an identity that is not valid.
Identify = Callable[[Mapping[bytes, bytes]], Awaitable[Principal | None]]


def person(kind: Kind, name: str, roles: tuple[Role, ...], expires_at: datetime) -> Principal:
    """Somebody with these roles."""
    scopes = frozenset().union(*(ROLES[role] for role in roles))
    return Principal(name, name, scopes, expires_at, kind, roles)


def parse_grants(setting: str, text: str) -> Grants:
    """Groups by role of `planner=sales; approver=leads`; a role may come twice. ValueError for what is no such pair.

    A group may itself hold commas and equals signs, as names of LDAP do.
    """
    found: dict[Role, set[str]] = {role: set() for role in ROLES}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, _, group = (one.strip() for one in part.partition("="))
        role = next((role for role in ROLES if role == name), None)
        if role is None or not group:
            raise ValueError(f"{setting}: expected ROLE=GROUP with a role of {', '.join(ROLES)}, got {part!r}")
        found[role].add(group)
    return {role: frozenset(groups) for role, groups in found.items()}


@dataclass(frozen=True)
class ClaimRules:
    """Which claims name a person and their groups, and what the groups may."""

    name_claim: str
    roles_claim: str
    grants: Grants

    def person(self, kind: Kind, claims: Mapping[str, Any], expires_at: datetime) -> Principal:
        """The person that verified claims are about; ProblemError 403 for one without a name or without a role."""
        name = self._name(claims)
        roles = self._roles(claims.get(self.roles_claim))
        if not roles:
            raise ProblemError(
                403,
                f"you are signed in as {name} and have no role here: no group in the claim {self.roles_claim} gives "
                "one. Ask whoever runs this service for a role (DEMAND_API_OIDC_ROLES)",
            )
        return person(kind, name, roles, expires_at)

    def _name(self, claims: Mapping[str, Any]) -> str:
        name = claims.get(self.name_claim)
        if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
            raise ProblemError(
                403,
                f"the claim {self.name_claim} of the identity provider names nobody: expected 1 to {LONGEST_NAME} "
                "printable characters; see DEMAND_API_OIDC_NAME_CLAIM",
            )
        # Anybody can claim an address at some providers; these say so.
        if self.name_claim == "email" and str(claims.get("email_verified", True)).lower() == "false":
            raise ProblemError(403, f"the identity provider has not verified that {name} is whose address it is")
        return name.strip()

    def _roles(self, held: Any) -> tuple[Role, ...]:
        listed = held if isinstance(held, list) else [held]
        groups = {EVERYBODY, *(group for group in listed if isinstance(group, str))}
        return tuple(role for role in ROLES if groups & self.grants[role])
