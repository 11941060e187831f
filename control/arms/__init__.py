"""Arms behind one interface: the xArm7 over its SDK and the simulated one."""
