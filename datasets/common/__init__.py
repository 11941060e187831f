"""What every package uses: errors, parameter files, command lines, whole files, devices, workers."""
