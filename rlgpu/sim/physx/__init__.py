"""NVIDIA's own Isaac Gym Preview 4 as an engine, in a worker process under its own Python.

``worker/`` is what runs there; everything else is the client, on this Python and torch.
"""
