"""Data sets on disk: downloaded, unpacked, decoded once and mapped ever after."""
