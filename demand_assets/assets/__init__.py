"""Wiring: what each asset takes, the pure function it calls, and what it returns."""
