"""The forecaster, pure: frames and arrays in, frames and arrays out; no clock, no network."""
