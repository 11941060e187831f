"""``make soak``."""

from soak.run import main

main()
