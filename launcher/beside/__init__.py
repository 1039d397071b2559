"""The processes beside each container: one forks them, one starts it, one stays and keeps output and end."""
