"""What is understood of files that no form declares, and of the ways in which people write the known ones."""

from __future__ import annotations

import io
import itertools
import re
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from demand_assets.errors import SchemaError
from demand_assets.ingestion.dataspec import DataSpec
from demand_assets.ingestion.inspection import understand_files, with_exact_dates
from demand_assets.ingestion.recognise import open_questions, understand
from demand_assets.ingestion.source import ColumnType
from tests.ingestion.landed import (
    STORES,
    TRAIN,
    WALMART,
    csv,
    days,
    landed,
    plan,
    plans,
    report,
    roles,
    understood,
)

POS = csv(
    "date,store,item,sales",
    *((day, store, item, 3.25) for day, store, item in itertools.product(days(30, 1), "ab", ("x/1", "y"))),
)


def dated(form: str, count: int = 8) -> str:
    rows = TRAIN.splitlines()
    text = "\n".join([rows[0], *(row for row in rows[1:] if row.split(",")[2] in map(str, days(count)))])
    for day in days(count):
        text = text.replace(str(day), day.strftime(form))
    return text + "\n"


def test_three_files_are_sales_covariates_and_stores() -> None:
    answer = understood(WALMART)
    assert roles(answer) == {"features.csv": "covariates", "stores.csv": "stores", "train.csv": "sales"}
    assert not answer.questions


@pytest.mark.parametrize("sep", [";", "\t", "|"])
def test_any_separator_gives_the_same_plans(sep: str) -> None:
    other = understood({name: text.replace(",", sep) for name, text in WALMART.items()})
    assert [plan for _, plan in other.plans] == [plan for _, plan in understood(WALMART).plans]


def test_a_decimal_comma_is_a_mark_of_the_value() -> None:
    sold = plan(understood({"train.csv": TRAIN.replace(",", ";").replace(".5", ",5")}), "sales")
    assert sold.types["Weekly_Sales"] == ColumnType("number", decimal=",")


def test_thousands_are_a_mark_of_the_value() -> None:
    rows = [(1, 1, day, '"1,234.50"', "TRUE") for day in days(8)]
    sold = plan(understood({"train.csv": csv("Store,Dept,Date,Weekly_Sales,IsHoliday", *rows)}), "sales")
    assert sold.types["Weekly_Sales"] == ColumnType("number", thousands=",")


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d.%m.%Y"])
def test_days_above_twelve_settle_the_form_of_dates(form: str) -> None:
    answer = understood({"train.csv": dated(form)})
    assert (plan(answer, "sales").types["Date"].date_format, answer.spec.sales.date_format) == (form, form)
    assert not answer.questions


def test_dates_that_fit_two_forms_are_read_as_the_one_with_one_weekday() -> None:
    fridays = [day for day in days(120) if day.day <= 12]
    rows = [("a", day.strftime("%d/%m/%Y"), 1.5) for day in fridays]
    answer = understood({"sales.csv": csv("store,date,sales", *rows)})
    assert answer.spec.sales.date_format == "%d/%m/%Y"
    assert answer.notes[0] == (
        "sales.csv: dates are read as day/month/year: every one is then a Friday; "
        "as month/day/year they are not one weekday"
    )


def test_dates_that_no_weekday_settles_are_a_question_with_its_line() -> None:
    rows = [("a", f"0{1 + k % 9}/0{1 + k % 7}/2012", 3.5) for k in range(30)]
    answer = understood({"sales.csv": csv("store,date,sales", *rows)})
    assert [(question.text, question.line) for question in answer.questions] == [
        (
            "sales.csv: date such as 01/01/2012 may be day/month/year or month/day/year",
            '[sales]\ndate_format = "%d/%m/%Y"  # or date_format = "%m/%d/%Y"',
        )
    ]
    assert (answer.spec.sales.frequency, answer.spec.data.week_ends) == (None, None)
    shown = report(answer, "sales.csv")
    assert (shown.dates, shown.first, shown.last) == ("day/month/year or month/day/year?", "", "")
    settled = understood({"sales.csv": csv("store,date,sales", *rows)}, '[sales]\ndate_format = "%m/%d/%Y"')
    assert not settled.questions


def test_covariates_take_the_form_that_the_sales_settle() -> None:
    early = [day for day in days(120) if day.day <= 12][:2]
    weather = csv("Store,Date,Temperature", *((1, day.strftime("%d/%m/%Y"), 20.5) for day in early))
    answer = understood({"features.csv": weather, "train.csv": dated("%d/%m/%Y")})
    assert plan(answer, "covariates").types["Date"].date_format == "%d/%m/%Y"
    assert not answer.questions


def test_timestamps_at_midnight_are_dates() -> None:
    sold = plan(understood({"train.csv": dated("%Y-%m-%d 00:00:00")}), "sales")
    assert sold.types["Date"] == ColumnType("date")


def test_case_of_headers_does_not_matter() -> None:
    answer = understood({name: text.lower() for name, text in WALMART.items()})
    assert answer.form == "walmart"
    assert plan(answer, "covariates").values["markdown1"] == "markdown1"


def test_an_unnamed_column_of_row_numbers_is_left_out() -> None:
    rows = TRAIN.splitlines()
    numbered = "\n".join([f",{rows[0]}", *(f"{number},{row}" for number, row in enumerate(rows[1:]))]) + "\n"
    assert report(understood({"train.csv": numbered}), "train.csv").left_out == ("(no name): row numbers",)


def test_an_unknown_column_is_left_out_and_said_so_or_mapped() -> None:
    rows = TRAIN.splitlines()
    text = "\n".join([f"{rows[0]},Region", *(f"{row},north" for row in rows[1:])]) + "\n"
    assert report(understood({"train.csv": text}), "train.csv").left_out == ("Region: one value, 'north'",)
    mapped = understood({"train.csv": text}, '[stores]\ncolumns = ["Region"]')
    assert plan(mapped, "stores").values == {"Region": "Region"}


def test_text_ids_are_ids() -> None:
    sold = plan(understood({"pos.csv": POS}), "sales")
    assert (sold.types["store"], sold.types["item"]) == (ColumnType("id"), ColumnType("id"))


def test_daily_sales_are_told_by_their_dates_and_weeks_end_on_sunday() -> None:
    answer = understood({"pos.csv": POS})
    assert (plan(answer, "sales").days, answer.spec.data.week_ends, answer.spec.data.unit) == (True, "sunday", "units")
    assert answer.notes == (
        "days are summed to weeks that end on Sunday; [data] week_ends names another day",
        'no holidays are known; [holidays] country = "DE" takes those of a country',
    )


def test_a_typing_error_does_not_make_weekly_sales_daily() -> None:
    answer = understood({"train.csv": f"{TRAIN}1,1,2099-01-01,5.5,FALSE\n"})
    assert (answer.spec.sales.frequency, answer.spec.data.week_ends) == ("weekly", "friday")


def test_monthly_sales_are_a_question() -> None:
    rows = [(date(2010 + month // 12, month % 12 + 1, 1), "a", 5.5) for month in range(30)]
    answer = understood({"sales.csv": csv("date,item,sales", *rows)})
    assert [question.text for question in answer.questions] == [
        "Sales come once a month, and weeks cannot be made of months: bring daily or weekly sales"
    ]


def test_one_date_does_not_tell_the_frequency() -> None:
    answer = understood({"sales.csv": csv("date,item,sales", ("2012-01-06", "a", 1.5), ("2012-01-06", "b", 1.5))})
    assert answer.questions[0].line == '[sales]\nfrequency = "weekly"  # or frequency = "daily"'


def test_dates_on_sundays_end_the_week_unless_said_otherwise() -> None:
    rows = [(day + timedelta(days=2), "a", 5.5) for day in days(8)]
    files = {"sales.csv": csv("week,store,sales", *rows)}
    ends, starts = understood(files), understood(files, "[sales]\nweek_starts = true")
    assert (ends.spec.data.week_ends, plan(ends, "sales").shift) == ("sunday", 0)
    assert ends.notes[0].startswith("dates are Sundays and are taken as the days that end the weeks")
    assert (starts.spec.data.week_ends, plan(starts, "sales").shift) == ("saturday", 6)
    headed = understood({"sales.csv": csv("week_commencing,store,sales", *rows)})
    assert (headed.spec.data.week_ends, plan(headed, "sales").shift) == ("saturday", 6)


def test_week_starts_that_contradict_week_ends_are_a_question() -> None:
    rows = [(day + timedelta(days=2), "a", 5.5) for day in days(8)]
    toml = '[data]\nweek_ends = "sunday"\n[sales]\nweek_starts = true'
    answer = understood({"sales.csv": csv("week,store,sales", *rows)}, toml)
    assert answer.questions[0].line == '[data]\nweek_ends = "saturday"'


def test_whole_amounts_are_pieces_and_headers_name_units() -> None:
    def unit(header: str, amount: str) -> str:
        rows = [(day, "a", amount) for day in days(8)]
        return understood({"s.csv": csv(f"date,store,{header}", *rows)}).spec.data.unit

    assert [unit("sales", "3"), unit("sales", "3.5"), unit("Umsatz (EUR)", "3"), unit("qty", "3.5")] == [
        "pieces",
        "units",
        "EUR",
        "pieces",
    ]


def test_whole_amounts_are_pieces_in_a_known_form_too_unless_the_user_says() -> None:
    whole = TRAIN.replace(".5,", ",")
    assert understood({"train.csv": whole}).spec.data.unit == "pieces"
    assert understood({"train.csv": whole}, '[data]\nunit = "CHF"').spec.data.unit == "CHF"


def test_a_second_column_joins_the_key_when_the_first_does_not_name_a_row_once() -> None:
    products = (("SOAP", "5 CT"), ("SOAP", "9 CT"), ("GEL", "5 CT"))
    rows = [
        (day, store, product, size, 2.99 + week + row, 0.3 + week * row + store, 4)
        for (week, day), store, (row, (product, size)) in itertools.product(
            enumerate(days(8)), (2, 5), enumerate(products)
        )
    ]
    answer = understood({"soap.csv": csv("week,store,product,size,price,profit,move", *rows)})
    sold = plan(answer, "sales")
    assert (sold.store, sold.dept, sold.values) == (("store",), ("product", "size"), {"sales": "move"})
    blocks = [(block.level, block.known_ahead, block.columns) for block in answer.spec.covariates]
    assert blocks == [("series", True, ("price",)), ("series", False, ("profit",))]
    assert answer.notes[0] == "a series is a product / size of a store: product alone does not tell rows apart"
    assert answer.spec.data.unit == "pieces"


def test_one_file_with_everything_has_a_plan_of_each_kind() -> None:
    rows = [
        (store, item, day, 5.5 + index, 20.5 + index + (store == "b"), 1.5 + index + len(item), kind, brand)
        for (index, day), (store, kind), (item, brand) in itertools.product(
            enumerate(days(8)), (("a", "big"), ("b", "small")), (("x", "own"), ("yy", "other"))
        )
    ]
    header = "shop,item,date,sales,temperature,price,kind,brand"
    answer = understood({"all.csv": csv(header, *rows)})
    assert roles(answer) == {"all.csv": "sales, covariates, stores, departments"}
    assert [(one.kind, one.level, dict(one.values)) for one in plans(answer, "all.csv")] == [
        ("sales", "series", {"sales": "sales"}),
        ("covariates", "store", {"temperature": "temperature"}),
        ("series_covariates", "series", {"price": "price"}),
        ("stores", "store", {"kind": "kind"}),
        ("departments", "series", {"brand": "brand"}),
    ]


def test_no_department_column_is_one_series_a_store_and_no_store_column_one_chain() -> None:
    a_store = understood({"s.csv": csv("date,store,sales", *((day, "a", 1.5) for day in days(8)))})
    chain = understood({"s.csv": csv("date,item,sales", *((day, "a", 1.5) for day in days(8)))})
    assert (plan(a_store, "sales").dept, a_store.spec.series.dept) == ((), False)
    assert (plan(chain, "sales").store, chain.spec.series.store) == ((), False)


def test_names_and_keys_in_german_are_known() -> None:
    rows = [
        (shop, group, day.strftime("%d.%m.%Y"), "1.234,50", "nein")
        for shop, group, day in itertools.product(("Z1", "Z2"), ("a/b", "c"), days(8))
    ]
    files = {
        "umsatz.csv": csv("Filiale,Warengruppe,Datum,Umsatz (EUR),Feiertag", *rows, sep=";"),
        "filialen.csv": csv("Filialnr,Filialname,Ort", ("Z1", "Zürich", "ZH"), ("Z2", "Bern", "BE"), sep=";"),
    }
    answer = understood(files)
    sold, shops = plan(answer, "sales"), plan(answer, "stores")
    assert (sold.store, sold.dept, sold.date, sold.flag) == (("Filiale",), ("Warengruppe",), "Datum", "Feiertag")
    assert (shops.store, shops.name, dict(shops.values)) == (("Filialnr",), "Filialname", {"Ort": "Ort"})
    assert (answer.spec.series.store_label, answer.spec.series.dept_label) == ("Filiale", "Warengruppe")


def test_sales_with_a_date_for_each_header_are_wide() -> None:
    rows = [(store, item, *range(12)) for store, item in itertools.product("ab", "xy")]
    sold = plan(understood({"w.csv": csv(f"store,item,{','.join(map(str, days(12)))}", *rows)}), "sales")
    assert sold.dates == {str(day): day for day in days(12)}


def test_weeks_of_wide_sales_end_six_days_after_the_day_that_starts_them() -> None:
    rows = [(store, item, *range(12)) for store, item in itertools.product("ab", "xy")]
    wide = {"w.csv": csv(f"store,item,{','.join(map(str, days(12)))}", *rows)}
    assert plan(understood(wide), "sales").shift == 0
    assert plan(understood(wide, "[sales]\nweek_starts = true"), "sales").shift == 6


def test_a_foreign_file_is_named_with_its_columns_and_stops_nothing() -> None:
    answer = understood({"budget.csv": "account,owner,amount\n4711,jd,12\n", **WALMART})
    assert report(answer, "budget.csv").notes == (
        "no dates, and no column that names each store or department once; its columns are account, owner, amount",
    )
    assert [source.name for source, _ in answer.plans] == ["features.csv", "stores.csv", "train.csv"]


def test_when_nothing_is_sales_each_file_is_listed_with_its_columns() -> None:
    answer = understood({"budget.csv": "account,owner,amount\n4711,jd,12\n", "stores.csv": STORES})
    said = open_questions(answer)
    assert re.search(r"budget.csv has account, owner, amount .*; stores.csv has Store, Type, Size", said)


def test_files_of_one_layout_are_deliveries_of_the_same_sales() -> None:
    later = csv("Dept,Store,Weekly_Sales,Date,IsHoliday", (1, 1, 5.5, days(9)[-1], "FALSE"))
    answer = understood({"train-2.csv": later, **WALMART})
    assert [source.name for source, plan in answer.plans if plan.kind == "sales"] == ["train-2.csv", "train.csv"]
    assert not answer.questions


def test_sales_of_two_layouts_are_a_question() -> None:
    other = csv("day,shop,units", *((day, "a", 3) for day in days(8)))
    answer = understood({"pos.csv": POS, "units.csv": other})
    assert answer.questions[0].line == '[sales]\nfiles = ["pos.csv"]'
    assert not understood({"pos.csv": POS, "units.csv": other}, '[sales]\nfiles = ["pos.csv"]').questions


def test_all_questions_are_in_one_message_each_with_its_line() -> None:
    other = csv("day,shop,units", ("2012-01-06", "a", 3), ("2012-01-06", "b", 3))
    answer = understood({"a.csv": other, "b.csv": csv("day,shop,item,units", ("2012-01-06", "a", "x", 3))})
    said = open_questions(answer)
    assert re.search(r"^2 open questions.*\(1\).*\[sales\] files = .*\(2\).*frequency = ", said)


def test_what_the_user_states_wins_over_the_form_and_over_what_is_recognised() -> None:
    toml = '[data]\nunit = "EUR"\nweek_ends = "saturday"\n[series]\ndept = false\n[holidays]\ncountry = "DE"'
    answer = understood({"train.csv": TRAIN}, toml)
    assert (answer.spec.data.unit, answer.spec.series.dept, answer.spec.holidays.country) == ("EUR", False, "DE")
    assert (plan(answer, "sales").shift, plan(answer, "sales").dept) == (1, ())


def test_a_column_that_no_file_has_is_refused_by_name() -> None:
    with pytest.raises(SchemaError, match=r"names columns that no file has: series.store is 'Filiale'; train.csv has"):
        understood({"train.csv": TRAIN}, '[series]\nstore = "Filiale"')


def test_a_calendar_has_flags_of_the_chain() -> None:
    days_off = csv("date,is_holiday", *((day, int(index == 3)) for index, day in enumerate(days(30, 1))))
    answer = understood({"calendar.csv": days_off, "pos.csv": POS})
    found = plan(answer, "covariates")
    assert (report(answer, "calendar.csv").role, found.level, found.flag) == ("calendar", "chain", "is_holiday")


def test_swapped_columns_keep_their_names_so_that_the_reader_names_line_and_value() -> None:
    rows = [(1, 1, 24924.5, day, "FALSE") for day in days(8)]
    answer = understood({**WALMART, "train.csv": csv("Store,Dept,Date,Weekly_Sales,IsHoliday", *rows)})
    assert (plan(answer, "sales").date, answer.spec.data.week_ends) == ("Date", "friday")
    assert report(answer, "train.csv").notes == (
        "Date holds no dates: '24924.5'",
        "Weekly_Sales does not hold numbers alone: '2010-02-05'",
    )


def test_week_numbers_are_no_dates_and_a_question() -> None:
    answer = understood({"sales.csv": csv("week,store,sales", *((week, "a", 1.5) for week in range(1, 30)))})
    assert [question.text for question in answer.questions] == [
        "sales.csv: week holds no dates that are known: 1, 2, 3"
    ]


def test_typed_columns_of_parquet_are_understood() -> None:
    kinds = pa.array(["big", "small"] * 8).dictionary_encode()
    columns = {
        "date": [int(day.strftime("%Y%m%d")) for day in days(8) for _ in "ab"],
        "store": ["a", "b"] * 8,
        "sales": [1.5] * 16,
        "promo": [index % 3 == 0 for index in range(16)],
        "kind": kinds,
        "tags": [["x"]] * 16,
    }
    packed = io.BytesIO()
    pq.write_table(pa.table(columns), packed)
    answer = understood({"sales.parquet": packed.getvalue()})
    assert plan(answer, "sales").types["date"] == ColumnType("date", date_format="%Y%m%d")
    assert plan(answer, "covariates").types["promo"] == ColumnType("number")
    assert dict(plan(answer, "stores").values) == {"kind": "kind"}
    assert report(answer, "sales.parquet").left_out == ("tags: no values",)


def test_a_key_of_the_stores_file_may_have_a_name_of_its_own() -> None:
    shops = csv("nr,region", ("a", "BY"), ("b", "BE"))
    toml = '[stores]\nkey = "nr"\ncolumns = ["region"]'
    found = plan(understood({"pos.csv": POS, "shops.csv": shops}, toml), "stores")
    assert (found.store, dict(found.values)) == (("nr",), {"region": "region"})


def test_an_unreadable_file_stops_no_other_and_demand_toml_is_obeyed() -> None:
    files = {"bad.parquet": b"PAR1 no", "demand.toml": b'[data]\nunit = "CHF"', "train.csv": TRAIN.encode()}
    answer = understand_files((landed(name, data), data) for name, data in files.items())
    assert roles(answer) == {"train.csv": "sales", "bad.parquet": "not read"}
    assert answer.spec.data.unit == "CHF"


def test_dates_of_a_large_file_are_read_exactly_when_asked() -> None:
    rows = [(day, store, 1.5) for store, day in itertools.product(range(2000), days(4))]
    data = csv("date,store,sales", *rows, (days(7)[-1], 7, 1.5)).encode()
    files = [(landed("s.csv", data), data)]
    exact = report(with_exact_dates(understand_files(files), files), "s.csv")
    assert (exact.rows, exact.first, exact.last, exact.gaps) == (8001, "2010-02-05", "2010-03-19", "2 weeks")


def test_no_files_at_all_are_a_question() -> None:
    assert "there are no data files" in understand([], DataSpec()).questions[0].text
