"""`demand accept`: take an unusual finding of ingestion's checks as right."""

import getpass
from datetime import UTC, datetime

from demand_assets.commands.terminal import print_json, print_list, terminal, week_of
from demand_assets.errors import SettingsError
from demand_assets.settings import read_settings


def accept(week: str, check: str, reason: str, by: str | None, as_json: bool) -> None:
    """Record the acceptance; the next ingestion of the week passes the check and says why.

    SettingsError for a check that does not exist or cannot be accepted.
    """
    import pandas as pd

    from demand_assets.ingestion.catalogue import SPECS
    from demand_assets.store.acceptances import accept_finding
    from demand_assets.store.migrations import opened

    acceptable = sorted(name for name, spec in SPECS.items() if spec.acceptable)
    if check not in acceptable:
        is_what = "finds what is certainly wrong, and cannot be accepted" if check in SPECS else "is no check"
        raise SettingsError(f"{check} {is_what}; these can be accepted: {', '.join(acceptable)}")
    settings = read_settings()
    now = datetime.fromisoformat(settings.clock).astimezone(UTC) if settings.clock else datetime.now(UTC)
    with opened(settings.store) as engine:
        row = accept_finding(
            engine, week_of("--week", week, pd.DatetimeIndex([])).date(), check, reason, by or getpass.getuser(), now
        )
    if as_json:
        print_json(row)
        return
    terminal().print(f"{check} is accepted for week {week} by {row['accepted_by']}: {reason}\nNext: demand run")


def list_accepted(as_json: bool) -> None:
    """Print every acceptance, oldest first."""
    from demand_assets.store.acceptances import accepted_findings
    from demand_assets.store.migrations import opened

    with opened(read_settings().store) as engine:
        rows = accepted_findings(engine)
    print_list(
        "Accepted findings",
        rows,
        lambda row: {
            "week": f"{row['week']}",
            "check": row["check_name"],
            "reason": row["reason"],
            "by": row["accepted_by"],
            "at": f"{row['accepted_at']:%Y-%m-%d %H:%M}",
        },
        "nothing has been accepted yet",
        as_json,
    )
