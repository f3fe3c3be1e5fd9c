"""Measurements, side by side with peer libraries; results are in RESULTS.md."""
