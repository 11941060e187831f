"""From an RGB-D frame to the TCP's position with its uncertainty; cameras (imports datasets)."""

import datasets  # noqa: F401  (before any library: it keeps them from sending anything home)
