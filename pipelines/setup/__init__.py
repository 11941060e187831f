"""What a run is made of: settings, devices, models, checked and put together."""
