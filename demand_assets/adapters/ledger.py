"""Which model is in production: the ledger in the SQL store decides, and the registry's alias `production` follows.

MLflow moves an alias without compare-and-swap and keeps no history of it. So a promotion is a row of the ledger, added
in one transaction, and the alias is set afterwards. If a process died in between or someone moved the alias by hand,
the next request for the champion corrects it. No code reads the alias to find the champion.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from demand_assets.adapters.hidden_values import StoreResource
from demand_assets.adapters.registry import PRODUCTION, ModelRegistry, RegisteredVersion
from demand_assets.errors import ModelError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from demand_assets.forecasting.promotion import Decision
    from demand_assets.store.ledger import PromotionRecord

_LOCK_ALIAS = 0x64656D616E6406


class PromotionLedger(StoreResource):
    """The ledger in the store at `store_url`, over the models of the registry at `tracking_uri`."""

    tracking_uri: str
    artifact_uri: str
    model_name: str

    @property
    def registry(self) -> ModelRegistry:
        """The models it is about."""
        # Not a field: a resource nested in another cannot be handed to a sensor that is called as a function.
        return ModelRegistry(tracking_uri=self.tracking_uri, artifact_uri=self.artifact_uri, model_name=self.model_name)

    def champion(self) -> RegisteredVersion | None:
        """The version in production, its alias set right if it was not; None before the first promotion.

        ModelError when the registry no longer has it.
        """
        from demand_assets.store.migrations import opened

        with opened(self.address) as engine:
            return self._follow(engine)

    def rows(self) -> list[Mapping[str, Any]]:
        """The ledger, newest first."""
        from demand_assets.store.engine import reading
        from demand_assets.store.ledger import history
        from demand_assets.store.migrations import opened

        with opened(self.address) as engine, reading(engine) as conn:
            return history(conn, self.model_name)

    def decide(
        self,
        challenger: RegisteredVersion,
        champion: RegisteredVersion | None,
        decision: "Decision",
        requested_by: str,
        now: datetime,
        *,
        force: bool = False,
        decision_key: str | None = None,
    ) -> "PromotionRecord":
        """Record a decision about `challenger`, judged against `champion`, and put it into production if it is for it.

        `force` promotes against the decision, and is recorded. The record returned is what the ledger says, which may
        be that another promotion came first, or what was decided earlier under the same `decision_key`.
        """
        from demand_assets.store.ledger import PROMOTE, PROMOTED, REFUSED, PromotionRecord, record_decision
        from demand_assets.store.migrations import opened

        wanted = PromotionRecord(
            model_name=self.model_name,
            action=PROMOTE,
            outcome=PROMOTED if decision.promote or force else REFUSED,
            from_version=None if champion is None else champion.version,
            to_version=challenger.version,
            requested_by=requested_by,
            decided_at=now,
            reasons=decision.reasons,
            figures=decision.figures,
            data_version=challenger.data_version,
            code_version=challenger.code_version,
            as_of=date.fromisoformat(challenger.as_of),
            forced=force and not decision.promote,
            decision_key=decision_key,
        )
        with opened(self.address) as engine:
            record = record_decision(engine, wanted)
            # Before the alias: who finds that set finds no other decision that was made.
            self._tell(record)
            self._follow(engine)
        return record

    def rollback(self, reason: str, requested_by: str, now: datetime) -> "PromotionRecord":
        """Put the champion before the present one back; StoreError when there is none."""
        from demand_assets.store.ledger import record_rollback
        from demand_assets.store.migrations import opened

        with opened(self.address) as engine:
            record = record_rollback(engine, self.model_name, (reason,), requested_by, now)
            self._follow(engine)
            self._tell(record)
        return record

    def _tell(self, record: "PromotionRecord") -> None:
        """Write a decision into the card of the version that it is about."""
        forced = ", forced" if record.forced else ""
        words = f"{record.decided_at:%Y-%m-%d}, {record.action} by {record.requested_by}: {record.outcome}{forced}."
        self.registry.tell_decision(record.to_version, "\n- ".join([words + "\n", *record.reasons]))

    def _follow(self, engine: "Engine") -> RegisteredVersion | None:
        """Set the alias to the ledger's champion, one process at a time, and return that version."""
        from demand_assets.store.engine import reading, write_transaction
        from demand_assets.store.ledger import champion_version

        name = self.model_name
        with reading(engine) as conn:
            wanted = champion_version(conn, name)
        if wanted is None:
            return None
        held = self.registry.with_alias(PRODUCTION)
        if held is None or held.version != wanted:
            with write_transaction(engine, _LOCK_ALIAS) as conn:
                # Asked again under the lock: another promotion may have come first.
                wanted = champion_version(conn, name) or wanted
                self.registry.set_alias(PRODUCTION, wanted)
            held = self.registry.with_alias(PRODUCTION)
        if held is None:
            raise ModelError(
                f"version {wanted} is in production but not in the registry; restore it or promote another"
            )
        return held


def outcome_in_words(record: "PromotionRecord") -> str:
    """One line about a decision of the ledger."""
    from demand_assets.store.ledger import PROMOTED, REFUSED, SUPERSEDED

    verb = {PROMOTED: "is in production", REFUSED: "stays out of production", SUPERSEDED: "came too late"}
    forced = " (forced)" if record.forced else ""
    return f"version {record.to_version} {verb[record.outcome]}{forced}: {'; '.join(record.reasons)}"
