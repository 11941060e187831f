"""Limits the memory of a process that allocates pictures in one thread and frees them in another, for hours."""

import ctypes

_M_ARENA_MAX = -8  # malloc.h of glibc
_HEAPS = 2


def limit_heaps() -> bool:
    """Let the threads of this process share two heaps; returns False if the C library is not glibc.

    glibc gives each thread a heap of its own, up to eight for each core, and keeps in each what another thread freed
    there: with frames handed from thread to thread the process grows by 20 MB a minute although no more is in use.
    Returning what was freed (``malloc_trim``) slowed that and did not end it; mapping each picture by itself
    (``M_MMAP_THRESHOLD``) ended it at 2 ms more for every tick. Two heaps cost no time that could be measured. See
    ``mallopt(3)``. Call it before the devices are opened: heaps that are there already stay.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_M_ARENA_MAX, _HEAPS) == 1
