"""Limits of the machine that have to be known before a library meets them."""

from __future__ import annotations

from benchbench.core.errors import InputError

LEAST = 512 * 2**20  # bytes; with less, OpenBLAS asks for its buffers for ever while NumPy is imported


def check_memory_limit() -> None:
    """`InputError` where this process may not have the memory that its libraries need to be loaded."""
    try:
        import resource
    except ImportError:  # no such limits on Windows
        return
    for limit, flag in ((resource.RLIMIT_AS, "-v"), (resource.RLIMIT_DATA, "-d")):
        allowed, _ = resource.getrlimit(limit)
        if allowed != resource.RLIM_INFINITY and allowed < LEAST:
            raise InputError(
                f"this process may use {allowed // 2**20} MiB of memory and needs {LEAST // 2**20} at least; raise the "
                f"limit (ulimit {flag})"
            )
