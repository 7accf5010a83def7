"""The command line: options to objects, mistakes to one line, progress, and how a program ends."""
