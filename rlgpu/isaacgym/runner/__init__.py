"""Runs scripts: installs the API as ``isaacgym``, and brings back what they expect."""
