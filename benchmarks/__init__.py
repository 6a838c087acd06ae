"""Benchmarks: how fast, in figures that can be compared on one machine. Not tests: nothing here passes or fails."""
