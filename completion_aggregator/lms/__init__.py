"""The port to the LMS (base.py) and the adapters that ship with the package."""
