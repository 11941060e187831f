"""The doctor: one page on this machine, with the remedy beside each fault.

Its modules import the standard library alone where they are imported, so that they work on an incomplete installation.
"""
