"""An invented retailer, seeded: data in the form and with the traits of the Walmart files, to try and to test on."""

from demand_assets.sample.files import write_csvs
from demand_assets.sample.generator import SampleData, generate

__all__ = ["SampleData", "generate", "write_csvs"]
