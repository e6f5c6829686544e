# Written by unasync.py from _async/__init__.py: change that one.
"""The synchronous client."""
