"""``python -m ser.cli`` is ``ser``."""

from ser.cli.main import main

main()
