"""The command line: options in, one call of a task, answers out."""
