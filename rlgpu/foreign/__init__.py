"""Environments that other people wrote, as tasks of ours."""
