"""`python -m hsitool`."""

from hsitool.cli.main import main

if __name__ == "__main__":
    main()
