"""Learning a policy: DDPG with an asymmetric critic, replay buffers, export."""
