"""Compiles tensor code for the CPU, ahead of time and without torch's compiler at run time.

A function's operations are recorded (``recording``), divided where one is called as it is
(``segments``), lowered to C++ loops by torch's Inductor (``lowering``), built into a library that
the user's cache keeps (``library``), and repeated on the memory of the recording (``program``).
"""

from rlgpu.compiler.library import NoCompiler, find_compiler
from rlgpu.compiler.program import Function, Program, Recorded, compile_programs
from rlgpu.compiler.recording import NotRecordable

__all__ = [
    "Function",
    "NoCompiler",
    "NotRecordable",
    "Program",
    "Recorded",
    "compile_programs",
    "find_compiler",
]
