"""The xArm7 over the vendor's SDK."""
