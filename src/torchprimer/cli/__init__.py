"""The command line: app.py runs one command; each other module holds a group of commands or implements one."""
