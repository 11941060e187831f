"""What goes over the wire to one controller: the SDK, commands, stops, and the poses that come back."""
