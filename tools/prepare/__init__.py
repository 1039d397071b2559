"""Set-up of a fresh machine in named steps, each of which is skipped while its inputs are unchanged."""
