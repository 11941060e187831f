"""Limits the memory of a process that allocates pictures in one thread and frees them in another, for hours."""

import ctypes

_M_ARENA_MAX = -8  # malloc.h of glibc
_HEAPS = 2


def limit_heaps() -> bool:
    """Let the threads of this process share two heaps; returns False if the C library is not glibc.

    glibc gives each thread its own heap, up to eight for each core, and each heap keeps memory that another thread
    freed there: when frames are handed from thread to thread, the process grows by 20 MB a minute although no more is
    in use. Returning freed memory (``malloc_trim``) slowed this growth but did not end it; mapping each picture
    separately (``M_MMAP_THRESHOLD``) ended it at a cost of 2 ms for every tick. Two heaps cost no measurable time. See
    ``mallopt(3)``. Call this before the devices are opened: heaps that exist already remain.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_M_ARENA_MAX, _HEAPS) == 1
