"""An invented retailer, seeded: data in the form and with the traits of the Walmart files, to try and to test on."""

from demand_assets.sample.files import write_csvs, write_story
from demand_assets.sample.generator import SampleData, SampleStream, generate, stream
from demand_assets.sample.story import Story, tell

__all__ = ["SampleData", "SampleStream", "Story", "generate", "stream", "tell", "write_csvs", "write_story"]
