"""Ways in from the shell: each command parses, calls a service and shows how it goes."""
