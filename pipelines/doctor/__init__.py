"""The doctor: one page on this machine, with the remedy beside each fault.

At import time its modules load the standard library only, so that they work on an incomplete installation.
"""
