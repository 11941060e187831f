"""Arms behind one interface: the xArm7 over its SDK, and the one that a recording moves."""
