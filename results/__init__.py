"""The committed results; a package so that its records are found wherever mogabench is installed.

Files are written by ``mogabench report --results results``; `mogabench.records.open_store` reads
the records.
"""
