"""From an RGB-D frame to the TCP's position with its uncertainty; cameras (imports datasets)."""
