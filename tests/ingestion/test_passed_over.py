"""Which files of a landing zone are looked at."""

import pytest

from demand_assets.ingestion.recognise import passed_over


@pytest.mark.parametrize(
    "name",
    [
        *("test.csv", "test.csv.zip", "sampleSubmission.csv", "sample_submission.csv", "EXPECT.txt", "README.md"),
        *("demand.toml", "plot.png", ".hidden.csv", "~$sales.xlsx"),
    ],
)
def test_files_that_hold_no_data_are_passed_over(name: str) -> None:
    assert passed_over(name)


@pytest.mark.parametrize("name", ["train.csv", "sales.csv.gz", "sales.zip", "Sales 2012.XLSX", "latest.parquet"])
def test_files_of_data_are_not_passed_over(name: str) -> None:
    assert not passed_over(name)
