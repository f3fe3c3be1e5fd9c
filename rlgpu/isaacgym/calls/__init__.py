"""The calls of Isaac Gym's API, by topic."""
