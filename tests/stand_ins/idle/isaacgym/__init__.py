"""Stands in for NVIDIA's package where physics does not matter: nothing moves by itself.

Runs under Python 3.6 and newer with NumPy alone, checks types as strictly as native bindings, and
has what public code reports of the real importer and setters, where that has misled others. Faults
are caused by the variable STAND_IN_FAULT.
"""

import ctypes
import os

FAULT = os.environ.get("STAND_IN_FAULT", "")
if FAULT.startswith("load:"):
    ctypes.CDLL(FAULT[5:])  # a library that lacks another one, as gym_38.so may
if FAULT == "version":
    raise RuntimeError("No gym module found for the active version of Python (3.11)")
if FAULT == "exits":
    raise SystemExit("the licence was not accepted")
if FAULT == "numpy":
    raise AttributeError("module 'numpy' has no attribute 'float'")
os.write(1, b"Importing module 'gym_38'\n")  # native libraries write to wherever output goes
