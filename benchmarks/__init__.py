"""Measurements, side by side with peers; results are in RESULTS.md."""
