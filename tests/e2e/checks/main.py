#!/usr/bin/env python3
"""All checks, in the order in which they are registered. Arguments choose those whose section or sentence has the text."""
import sys

import report
from world import FILES

FILES.mkdir(exist_ok=True)
import install  # noqa: F401, E402  Importing registers the checks.
import story  # noqa: F401, E402
import disturbed  # noqa: F401, E402
import life  # noqa: F401, E402
import limits  # noqa: F401, E402
import certmanager  # noqa: F401, E402

sys.exit(min(1, report.run_all(sys.argv[1:])))
