"""`python -m sendryd`."""

from sendryd.cli.main import run

if __name__ == "__main__":
    run()
