"""hsitool: a command-line toolkit for hyperspectral cubes and cameras."""

__version__ = "0.1.0"
