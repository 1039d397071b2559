"""What a container sees in /proc and /sys of memory and CPUs: its own limits and use, served by one FUSE
process of ours for all containers.

`fuse` is the kernel's protocol, `tree` what there is to open, `numbers` what the kernel says of a container,
`texts` how that reads in /proc's formats, `loads` its load averages, `server` the process; `view` is the
daemon's side, `operation` the first process's.
"""
