"""Partition tables around images that are one bare filesystem, made here byte by byte: one file a kind of table

The filesystem becomes partition 1 at 1 MiB. Nobody looks into it: what it is of follows from what the user says.
"""
