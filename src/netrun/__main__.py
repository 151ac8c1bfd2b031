"""`python -m netrun`: the command line."""

import sys

from netrun.cli import main

sys.exit(main())
