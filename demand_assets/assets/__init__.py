"""Wiring: what each asset takes, the pure function it calls, and what it returns."""

import warnings

# Backfill policies and partitioned checks are used on purpose, and Dagster's version is pinned to the patch.
warnings.filterwarnings("ignore", message=".*is currently in (beta|preview)")
