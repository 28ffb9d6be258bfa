"""Ingestion, pure: what a landed file is, how it is parsed, merged into weekly partitions, and judged."""
