"""Several workers on one study: processes of this machine, tasks of a Ray cluster, and job files for clusters."""
