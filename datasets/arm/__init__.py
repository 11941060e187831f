"""The xArm7: the project's own model, the official one, and its kinematics."""
