"""The README of a sample with a story: what to look for in it, and where."""

from collections.abc import Iterator
from textwrap import fill
from urllib.parse import urlencode

from demand_assets.sample.names import department_name, store_name
from demand_assets.sample.story import (
    BETWEEN_PROMOTIONS,
    DRIFTS_FROM,
    LIFT,
    LOST_A_WEEK,
    NEXT_PROMOTION,
    NO_LIFT,
    REPORTED_SHARE,
    Roles,
    Story,
)

_DASHBOARD = "http://127.0.0.1:8000/#/"
_ASSET = "http://127.0.0.1:3000/assets/raw_sales"


def in_words(story: Story) -> str:
    """The story, an item for each part, with addresses of the dashboard as `make dev` serves it."""
    head = f"An invented retailer with sales to {story.roles.newest:%Y-%m-%d}. What to look for, once `make dev` runs:"
    return "\n".join([head, *(_item(*item) for item in _items(story.roles))]) + "\n"


def _items(roles: Roles) -> Iterator[tuple[str, str]]:
    promoted, corrected = roles.week(NEXT_PROMOTION), roles.week(roles.late)
    yield (
        f"A promotion that works: a quarter off {_dept(roles.worked)}, every {BETWEEN_PROMOTIONS} weeks, sells "
        f"{LIFT:g} times as much. The next is planned for the week {promoted:%Y-%m-%d}, and the forecast has it.",
        _address("series", store=roles.shown, dept=roles.worked),
    )
    yield (
        f"A planner who drops it in one store, {_store(roles.shown)}: what-if.txt changes its plan there. `make demo` "
        "asks `demand scenario` what that does, and adopts the answer: orders follow the planner's numbers.",
        _address("overrides", store=roles.shown),
    )
    if roles.failed is not None:
        yield (
            f"One that does not: the same for {_dept(roles.failed)} sells {NO_LIFT:g} times as much.",
            _address("series", store=roles.shown, dept=roles.failed),
        )
    if roles.drifting is not None:
        yield (
            f"A department that drifts: {_dept(roles.drifting)} loses {LOST_A_WEEK:.0%} a week since "
            f"{roles.week(DRIFTS_FROM):%Y-%m-%d}. It is among the exceptions and on the page of drift.",
            _address("exceptions", dept=roles.drifting),
        )
    if roles.opened is not None:
        yield (
            f"A store that opened in the week {roles.week(roles.opening):%Y-%m-%d}: {_store(roles.opened)}.",
            _address("", level="store", store=roles.opened),
        )
    yield (
        f"A correction: train.csv has {REPORTED_SHARE:.0%} of the sales of {_store(roles.corrected)} in the week "
        f"{corrected:%Y-%m-%d}, train_correction.csv, which is newer, all. The asset counts what each file replaced.",
        _ASSET,
    )


def _item(text: str, address: str) -> str:
    return fill(text, 100, initial_indent="- ", subsequent_indent="  ") + f"\n  {address}"


def _address(page: str, **filters: str | int) -> str:
    return f"{_DASHBOARD}{page}?{urlencode(filters)}"


def _dept(department: int) -> str:
    return f"{department_name(department)} ({department})"


def _store(store: int) -> str:
    return f"{store_name(store)} ({store})"
