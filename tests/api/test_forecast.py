from __future__ import annotations

import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from api import ApiSettings, create_app
from demand_assets.errors import StoreError
from demand_assets.store.engine import create_engine_for
from tests.api.conftest import Client, environment, problem, serving
from tests.api.stores import ASKED, fill
from tests.waiting import GUARD_S, answers, until


def test_the_newest_forecast_is_answered_with_its_vintage(client: Client) -> None:
    answer = client.get("/forecast", params=ASKED)
    assert answer.status_code == 200
    body = answer.json()
    assert body.pop("vintage_id").startswith("2012-10-26-")
    assert body == {
        "store_id": "1",
        "store_name": None,
        "dept_id": "3",
        "dept_name": None,
        "week": "2012-11-02",
        "origin_week": "2012-10-26",
        "horizon": 1,
        "forecast": 100.5,
        "p10": 80.0,
        "p50": 99.0,
        "p90": 130.0,
        "order_quantity": 120.0,
        "final": 100.5,
        "final_p10": 80.0,
        "final_p50": 99.0,
        "final_p90": 130.0,
        "final_order_quantity": 120.0,
        "unit": "USD",
        "method": "xgboost",
        "model_version": "7",
        "data_version": "data-1",
        "code_version": "0.1.0",
        "published_at": "2012-10-27T06:00:00Z",
        "is_stale": False,
        "override": None,
    }


def test_no_order_is_null_not_zero(client: Client) -> None:
    assert client.get("/forecast", params=ASKED | {"week": "2012-11-09"}).json()["order_quantity"] is None


def test_an_unknown_week_names_the_weeks_there_are(client: Client) -> None:
    answer = client.get("/forecast", params=ASKED | {"week": "2013-01-04"})
    assert problem(answer, 404) == (
        "store 1 dept 3 has no forecast of week 2013-01-04; it has 2 from 2012-11-02 to 2012-11-09"
    )
    assert answer.json()["weeks"] == ["2012-11-02", "2012-11-09"]


def test_an_unknown_series_says_so(client: Client) -> None:
    answer = client.get("/forecast", params=ASKED | {"dept_id": "99"})
    assert problem(answer, 404).startswith("store 1 dept 99 is not a forecast series; ")
    assert answer.json()["unknown"] == "series"


@pytest.mark.parametrize(
    ("week", "name", "nearest"),
    [
        ("2012-11-01", "Thursday", "2012-10-26 and 2012-11-02"),
        ("2012-11-03", "Saturday", "2012-11-02 and 2012-11-09"),
        ("1900-01-01", "Monday", "1899-12-29 and 1900-01-05"),
        ("2199-12-31", "Tuesday", "2199-12-27 and 2200-01-03"),
    ],
)
def test_another_day_names_the_two_nearest_weeks(client: Client, week: str, name: str, nearest: str) -> None:
    answer = client.get("/forecast", params=ASKED | {"week": week})
    assert problem(answer, 422) == f"week: {week} is a {name}; weeks end on Friday, the nearest are {nearest}"


@pytest.mark.parametrize("name", ["store_id", "dept_id", "week"])
@pytest.mark.parametrize("value", ["9" * 201, "%00", "", "a%0Ab", "%C2%85"])
def test_a_value_out_of_bounds_is_refused_by_name(client: Client, name: str, value: str) -> None:
    query = "&".join(f"{each}={value if each == name else right}" for each, right in ASKED.items())
    assert name in problem(client.get(f"/forecast?{query}"), 422)


@pytest.mark.parametrize(
    "value", ["9" * 200, "-1", "0", "01", "1.5", "+1", "all", "😀", "�", "' OR 1=1--", "a/b", " 1"]
)
def test_any_printable_text_is_an_id(client: Client, value: str) -> None:
    answer = client.get("/forecast", params=ASKED | {"store_id": value})
    assert problem(answer, 404).startswith(f"store {value} dept 3 is not a forecast series; ")


@pytest.mark.parametrize(
    "week", ["2012-02-30", "2012-13-01", "20121102", "2012-W44-5", "1351814400", "0001-01-01", "9999-12-31"]
)
def test_a_week_that_is_no_iso_date_is_refused(client: Client, week: str) -> None:
    assert "week" in problem(client.get("/forecast", params=ASKED | {"week": week}), 422)


@settings(derandomize=True, database=None, deadline=None, max_examples=60)
@given(
    store_id=st.one_of(st.integers().map(str), st.text(max_size=20)),
    dept_id=st.one_of(st.integers(1, 2**31).map(str), st.text(max_size=20)),
    week=st.one_of(st.dates().map(str), st.text(alphabet="0123456789-WT+", max_size=12), st.text(max_size=20)),
)
def test_no_value_of_a_parameter_is_an_error_of_the_service(
    client: Client, store_id: str, dept_id: str, week: str
) -> None:
    values = {"store_id": store_id, "dept_id": dept_id, "week": week}
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in values.items())
    answer = client.get(f"/forecast?{query}")
    assert answer.status_code in (404, 422)
    problem(answer, answer.status_code)


def test_missing_parameters_are_named(client: Client) -> None:
    detail = problem(client.get("/forecast"), 422)
    assert all(name in detail for name in ASKED)


def test_the_frameworks_own_errors_are_problems(client: Client) -> None:
    assert problem(client.get("/nowhere%00"), 404)
    refused = client.post("/forecast")
    assert problem(refused, 405)
    assert refused.headers["allow"] == "GET, HEAD"
    assert "secret" not in problem(client.get("/broken"), 500)
    assert problem(client.get("/redoc"), 404)


def test_health_names_the_newest_origin(client: Client) -> None:
    answer = client.get("/health")
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "ok", "newest_origin_week": "2012-10-26", "vintages": 2},
    )


def test_ready_names_the_vintage_that_is_served(client: Client) -> None:
    answer = client.get("/ready").json()
    assert answer.pop("vintage_id").startswith("2012-10-26-")
    assert answer == {
        "status": "ready",
        "newest_origin_week": "2012-10-26",
        "published_at": "2012-10-27T06:00:00Z",
        "is_stale": False,
    }


def test_a_forecast_that_is_overdue_for_a_successor_is_stale_and_not_ready(tmp_path: Path) -> None:
    # The next week ends on 2012-11-02; 72 hours after that Friday's end is Tuesday, 00:00.
    url = fill(tmp_path)
    for now, is_stale in (
        (datetime(2012, 11, 5, 23, 59, tzinfo=UTC), False),
        (datetime(2012, 11, 6, tzinfo=UTC), True),
    ):
        with serving(url, lambda now=now: now) as client:
            assert client.get("/forecast", params=ASKED).json()["is_stale"] is is_stale
            assert client.get("/ready").status_code == (503 if is_stale else 200)
            assert client.get("/health").status_code == 200


def test_openapi_describes_every_parameter_and_field(client: Client) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/forecast"]["get"]
    named = [each["name"] for each in operation["parameters"]]
    assert sorted(named) == ["as_of", "dept_id", "horizon", "store_id", "vintage_id", "week"]
    assert [each["name"] for each in operation["parameters"] if each["required"]] == ["store_id", "dept_id", "week"]
    assert all(each["description"] for each in operation["parameters"])
    assert {"200", "304", "401", "404", "422", "429", "503"} <= set(operation["responses"])
    assert "application/problem+json" in operation["responses"]["404"]["content"]
    fields = document["components"]["schemas"]["Forecast"]["properties"]
    assert all("examples" in field or field.get("const") for field in fields.values())
    assert "unit" in fields["p10"]["description"]


@pytest.mark.parametrize("path", ["/ready", "/forecast?store_id=1&dept_id=3&week=2012-11-02"])
def test_a_store_that_is_down_is_503_without_its_password(path: str) -> None:
    with serving("postgresql://demand:hunter2secret@127.0.0.1:1/demand") as client:
        answer = client.get(path)
        assert "127.0.0.1:1/demand cannot be used" in problem(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
        assert "hunter2secret" not in answer.text
        assert problem(client.get("/forecast?store_id=-1"), 422)


def test_it_recovers_when_the_store_appears(tmp_path: Path) -> None:
    with serving(f"sqlite:///{tmp_path / 'store.db'}") as client:
        assert "run `demand migrate`" in problem(client.get("/ready"), 503)
        assert client.get("/health").json() == {"status": "ok", "newest_origin_week": None, "vintages": None}
        fill(tmp_path)
        until(lambda: client.get("/ready").status_code != 503)
        assert client.get("/health").json()["vintages"] == 2


def test_a_store_behind_its_migrations_is_503(tmp_path: Path) -> None:
    url = fill(tmp_path)
    engine = create_engine_for(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    engine.dispose()
    with serving(url) as client:
        assert "revision 0000, code expects" in problem(client.get("/forecast", params=ASKED), 503)


def test_an_address_that_is_no_store_stops_the_start() -> None:
    with pytest.raises(StoreError, match="expected sqlite:/// or postgresql://"):
        create_app(ApiSettings(store_url="mysql://demand@host/db"))


def test_the_service_loads_nothing_of_the_pipeline() -> None:
    code = "import sys, api; print(sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    for heavy in ("dagster", "mlflow", "xgboost", "pandas", "numpy", "alembic"):
        assert f"'{heavy}'" not in loaded.stdout


def test_python_m_api_serves_and_stops_on_sigterm(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "api", "--port", str(port), "--store-url", fill(tmp_path)],
        env=environment(DEMAND_STORE_URL="sqlite:///elsewhere.db", DEMAND_API_PORT="1", DEMAND_HORIZON_WEEKS="4"),
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}/forecast"
        until(lambda: answers(address), process)
        assert httpx.get(address, params=ASKED, timeout=GUARD_S).json()["forecast"] == 100.5
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "DEMAND_STORE_URL: Field required"),
        (
            {"DEMAND_STORE_URL": "sqlite:///x.db", "DEMAND_API_PORT": "0"},
            "DEMAND_API_PORT: Input should be greater than",
        ),
        (
            {"DEMAND_STORE_URL": "sqlite:///x.db", "DEMAND_API_AUTH": "off", "DEMAND_API_HOST": "0.0.0.0"},
            "API keys can be off only on loopback",
        ),
        ({"DEMAND_STORE_URL": "mysql://u:hunter2secret@h/d"}, "DEMAND_STORE_URL: expected sqlite:/// or postgresql://"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(values: dict[str, str], message: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "api"],
        env=environment(**values),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    assert "hunter2secret" not in done.stderr
