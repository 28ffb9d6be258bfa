"""Wiring: what each asset takes, the pure function it calls, and what it returns."""

import warnings

# Backfill policies and partitioned checks are used on purpose, and Dagster's version is pinned to the patch.
warnings.filterwarnings("ignore", message=".*is currently in (beta|preview)")
# The weekly job runs one week at a time, whatever its assets could do.
warnings.filterwarnings("ignore", message="Asset job weekly materializes assets with varying BackfillPolicies")
