"""One user verb a file: where files, maths and the engine meet. Callable from Python as well."""
