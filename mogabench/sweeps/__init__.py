"""Sweeps: a plan of many measurements, run by one process each, here or on a SLURM cluster."""
