"""What the worker raises where Isaac Gym does not do what it was asked for."""


class Refused(Exception):
    """Isaac Gym cannot simulate the scene, or not here; the message says why."""

    def __init__(self, message: str, fault: str) -> None:
        """Keeps the name of the fault, which the client gets with the message."""
        super().__init__(message)
        self.fault = fault
