"""A container's life as the daemon leads it: begun, begun again, watched, ended, found after a crash."""
