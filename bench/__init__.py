"""How fast the project is, each time against something measured beside it: `python -m bench --help`."""
