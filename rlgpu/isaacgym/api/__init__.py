"""Isaac Gym's modules, as scripts import them."""
