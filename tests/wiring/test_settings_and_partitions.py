import traceback
import zlib
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import Engine, event

from demand_assets.errors import SettingsError
from demand_assets.partitions import key_ranges, known_weeks, passed_over, register_weeks, stray_partitions
from demand_assets.provenance import code_version, fingerprint
from demand_assets.resources import build_resources, build_training
from demand_assets.settings import read_settings, remember_workspace, workspace_for
from demand_assets.settings_page import settings_table
from tests.wiring import commands
from tests.wiring.conftest import environment_of

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEMAND_HOME", raising=False)


def test_weeks_of_another_weekday_are_refused_with_the_nearest() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        register_weeks(instance, ["2012-11-03", "2012-11-10"])
        with pytest.raises(ValueError, match=r"2012-11-16 is a Friday.*Saturday.*2012-11-10 and 2012-11-17"):
            register_weeks(instance, ["2012-11-03", "2012-11-10", "2012-11-16"])
        assert registered(instance) == ["2012-11-03", "2012-11-10"]


def test_an_unknown_setting_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="unknown setting DEMAND_ROUND;"):
        read_settings({"DEMAND_ROUND": "5"})


def test_a_bad_value_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMAND_HORIZON_WEEKS", "53")
    with pytest.raises(SettingsError, match="DEMAND_HORIZON_WEEKS is '53'"):
        read_settings()


@pytest.mark.parametrize("name", ["DEMAND_EVENT_SECRET", "DEMAND_EVENT_URLS"])
def test_a_bad_secret_is_refused_without_being_shown(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "hunter2")
    with pytest.raises(SettingsError, match=f"{name} is a secret: String should match") as refused:
        read_settings()
    assert "hunter2" not in "".join(traceback.format_exception(refused.value))


def test_webhooks_without_a_key_are_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMAND_EVENT_URLS", "https://shop.test/hunter2")
    with pytest.raises(SettingsError, match="DEMAND_EVENT_URLS requires DEMAND_EVENT_SECRET") as refused:
        read_settings()
    assert "hunter2" not in "".join(traceback.format_exception(refused.value))


def test_secrets_are_not_part_of_what_is_shown_of_the_settings() -> None:
    settings = read_settings(alert_urls="json://ann:hunter2@host", event_secret=f"whsec_{'hunter2A' * 4}")
    assert "hunter2" not in repr(settings)
    assert settings.environment()["DEMAND_ALERT_URLS"] == "json://ann:hunter2@host"


def test_dagster_shows_the_name_of_a_secret_instead_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMAND_ALERT_URLS", "json://ann:hunter2@host")
    monkeypatch.setenv("DEMAND_STORE_URL", "postgresql://ann:hunter2@host/demand")
    resources = build_resources(read_settings())
    shown = {name: repr(resource.model_dump()) for name, resource in resources.items()}
    assert "hunter2" not in repr(shown)
    assert "DEMAND_ALERT_URLS" in shown["alerts"]
    assert "DEMAND_STORE_URL" in shown["store"]
    # Whoever uses one outside a run of Dagster's gets the value.
    assert resources["store"].address == "postgresql://ann:hunter2@host/demand"


def test_the_docs_list_every_setting() -> None:
    listed = (DOCS / "operations.md").read_text().split("<!-- settings -->\n")[1]
    assert listed == f"{settings_table()}\n", f"put this between the markers of operations.md:\n{settings_table()}"


def test_the_table_shows_a_default_or_says_what_it_depends_on() -> None:
    rows = settings_table().splitlines()
    assert "| `DEMAND_HORIZON_WEEKS` | `4` | Forecast horizon H, in weeks. |" in rows
    assert "| `DEMAND_ALERT_SNS_TOPIC` | none | ARN of the SNS topic that receives alerts. |" in rows
    threads = "Threads of heavy work; on a Dask worker, threads of that worker."
    assert f"| `DEMAND_THREADS` | the cores this process may use | {threads} |" in rows


def test_addresses_live_under_home_unless_named(tmp_path: Path) -> None:
    settings = read_settings(home=tmp_path / "w", lake_uri="s3://bucket/lake")
    assert settings.store == f"sqlite:///{tmp_path / 'w' / 'store.db'}"
    assert settings.lake == "s3://bucket/lake"


def test_on_aws_every_address_is_a_prefix_of_the_bucket(tmp_path: Path) -> None:
    settings = read_settings(
        deployment="aws",
        bucket="s3://shop/demand/",
        home=tmp_path,
        store_url="postgresql://demand@db/demand",
        mlflow_tracking_uri="http://mlflow:5000",
    )
    assert (settings.landing, settings.lake, settings.artifacts) == (
        "s3://shop/demand/raw",
        "s3://shop/demand/processed",
        "",
    )
    assert settings.table_uris == {
        "published_forecast": "s3://shop/demand/forecasts",
        "drift_report_html": "s3://shop/demand/reports",
    }


def test_aws_without_its_services_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="deployment aws requires DEMAND_BUCKET, DEMAND_MLFLOW_TRACKING_URI"):
        read_settings(deployment="aws", store_url="postgresql://demand@db/demand")


def test_the_last_workspace_is_remembered(tmp_path: Path) -> None:
    remember_workspace(read_settings(home=tmp_path / "mine", landing_uri="/data/in"))
    settings = read_settings()
    assert (settings.home, settings.landing) == (tmp_path / "mine", "/data/in")


@pytest.mark.parametrize("name", ["plain", "a #b %20'c\\d"])
def test_a_workspace_below_this_folder_is_remembered_when_the_folder_is_moved(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    monkeypatch.chdir(before)
    workspace = workspace_for(name)
    remember_workspace(read_settings(home=workspace, landing_uri=name))
    before.rename(after)
    monkeypatch.chdir(after)
    settings = read_settings()
    assert (settings.home, settings.landing) == (after / workspace, str(after / name))
    assert workspace_for(str(after / name)) == workspace


def test_a_workspace_that_an_older_release_named_by_the_full_path_is_found(tmp_path: Path) -> None:
    named = Path(".demand") / f"zone-{zlib.crc32(str(tmp_path / 'zone').encode()):08x}"
    assert workspace_for("zone") != named
    named.mkdir(parents=True)
    assert workspace_for("zone") == named


def test_a_question_mark_in_the_path_of_a_workspace_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"DEMAND_HOME is '.*/a\?b': expected a path without a question mark"):
        read_settings(home="a?b")
    assert "?" not in str(workspace_for("a?b"))


def test_two_landing_zones_of_one_name_do_not_share_a_workspace() -> None:
    assert workspace_for("/a/raw") != workspace_for("/b/raw")
    assert workspace_for("s3://bucket/raw").name.startswith("raw-")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"model": "oracle"},
            "DEMAND_MODEL is 'oracle': there is no model oracle; expected one of: baseline, lightgbm, xgboost",
        ),
        ({"model_settings": '{"rounds": 0}'}, "DEMAND_MODEL_SETTINGS, rounds is 0: Input should be greater than"),
        ({"model_settings": '{"trees": 5}'}, "DEMAND_MODEL_SETTINGS, trees is 5: Extra inputs are not permitted"),
        ({"model_settings": "rounds=5"}, "DEMAND_MODEL_SETTINGS is 'rounds=5': .*expected JSON such as"),
        ({"model_settings": "[5]"}, r"DEMAND_MODEL_SETTINGS is '\[5\]': .*expected a JSON object such as"),
    ],
)
def test_a_wrong_model_or_setting_of_it_is_named(wrong: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        build_training(read_settings(**wrong)).config()


def test_a_child_process_reads_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_settings(home=tmp_path / "w", model_settings='{"rounds": 33}')
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert read_settings() == settings


def registered(instance: dg.DagsterInstance) -> list[str]:
    return list(instance.get_dynamic_partitions("weeks"))


def test_weeks_stay_in_order_of_time_when_older_ones_land_later() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        register_weeks(instance, ["2012-01-13", "2012-01-20"])
        register_weeks(instance, ["2012-01-13", "2012-01-20", "2012-01-27"])
        register_weeks(instance, ["2012-01-06", "2012-01-13", "2012-01-20", "2012-01-27"])
        assert registered(instance) == ["2012-01-06", "2012-01-13", "2012-01-20", "2012-01-27"]


def test_partitions_that_are_no_week_of_the_dataset_are_named_and_in_no_range_of_weeks() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        register_weeks(instance, ["2012-01-06", "2012-01-13"])
        instance.add_dynamic_partitions("weeks", ["hello", "2012-01-20"])
        landed = ["2012-01-06", "2012-01-13", "2012-01-27"]
        register_weeks(instance, landed)
        assert registered(instance) == ["hello", "2012-01-20", *landed]
        assert known_weeks(instance, landed) == landed
        assert passed_over(stray_partitions(instance, landed)) == (
            "partition '2012-01-20', 'hello' is no week with sales and is passed over; remove it with `demand repair`"
        )


class Killed(BaseException):
    """What ends a process is no error that code could catch."""


@pytest.mark.parametrize("storage", ["sqlite", "postgresql"])
def test_a_process_that_ends_while_an_older_week_is_registered_leaves_every_partition(
    storage: str, collected: None, request: pytest.FixtureRequest
) -> None:
    overrides = {}
    if storage == "postgresql":
        url = request.getfixturevalue("postgres_url")
        overrides = {"storage": {"postgres": {"postgres_url": url}}}
    with dg.instance_for_test(overrides=overrides) as instance:
        held = ["2012-01-13", "2012-01-20", "2012-01-27"]
        register_weeks(instance, held)

        @event.listens_for(Engine, "before_cursor_execute")
        def kill(connection: object, cursor: object, statement: str, *_: object) -> None:
            if statement.startswith("INSERT INTO dynamic_partitions"):
                raise Killed

        try:
            with pytest.raises(Killed):
                register_weeks(instance, ["2012-01-06", *held])
        finally:
            event.remove(Engine, "before_cursor_execute", kill)
        assert registered(instance) == held
        register_weeks(instance, ["2012-01-06", *held])
        assert registered(instance) == ["2012-01-06", *held]


def test_ranges_are_slices_of_the_known_weeks() -> None:
    known = ["2012-01-06", "2012-01-13", "2012-01-27", "2012-02-03"]
    assert key_ranges(["2012-01-27", "2012-01-13"], known) == [("2012-01-13", "2012-01-27")]
    assert key_ranges(["2012-01-06", "2012-02-03"], known) == [
        ("2012-01-06", "2012-01-06"),
        ("2012-02-03", "2012-02-03"),
    ]


def test_fingerprints_depend_on_values_not_on_order() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1}) != fingerprint({"a": 1, "b": 3})
    assert len(code_version()) == 12


def test_an_unknown_model_fails_a_run_before_it_starts(csv_folder: Path, tmp_path: Path) -> None:
    environment = {**environment_of(tmp_path / "home"), "DEMAND_MODEL": "oracle"}
    ended = commands.forked(commands.demand, ("run", "--raw-dir", str(csv_folder)), environment, tmp_path)
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert "DEMAND_MODEL is 'oracle': there is no model oracle; expected one of: baseline, lightgbm, xgboost" in line
    assert not (tmp_path / "home" / "lake").exists()
