"""What runs under the user's Isaac Gym interpreter, Python 3.6 to 3.8; the client imports parts.

Standard library, NumPy and isaacgym only. ``serve.main`` says what it is started with.
"""
