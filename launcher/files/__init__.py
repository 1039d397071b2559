"""Files in and out of a container: copies, archives, and changes that become layers."""
