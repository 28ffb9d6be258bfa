"""Benchmarks: each a script that prints a table and writes JSON into benchmarks/results."""
