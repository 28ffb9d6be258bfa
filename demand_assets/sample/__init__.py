"""An invented retailer, seeded: data in the form and with the traits of the Walmart files, to try and to test on."""

from demand_assets.sample.files import write_csvs
from demand_assets.sample.generator import SampleData, SampleStream, generate, stream

__all__ = ["SampleData", "SampleStream", "generate", "stream", "write_csvs"]
