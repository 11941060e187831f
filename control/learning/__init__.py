"""Trains policies: DDPG with an asymmetric critic, replay buffers, export."""
