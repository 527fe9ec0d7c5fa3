"""Files that other programs keep cameras in, a module each."""
