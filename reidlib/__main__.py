"""``python -m reidlib``: see ``reidlib.cli``."""

import sys

from reidlib.cli import main

sys.exit(main())
