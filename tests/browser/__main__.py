"""Runs the browser tests, those that are named or all, and then looks for secrets in what the programs have logged."""

import sys
import time
import unittest
from pathlib import Path

import stage



class Timed(unittest.TextTestResult):
    """Says of each test how long it took: the whole of it has a budget."""

    def startTest(self, test):
        self.begun = time.monotonic()
        super().startTest(test)

    def addSuccess(self, test):
        self.stream.write(f"{time.monotonic() - self.begun:.1f} s ")
        super().addSuccess(test)


here = Path(__file__).parent
loader = unittest.TestLoader()
if names := sys.argv[1:]:
    loader.testNamePatterns = [name if "*" in name else f"*{name}*" for name in names]
tests = loader.discover(str(here), top_level_dir=str(here))
if tests.countTestCases() == 0:
    sys.exit(f"no browser test has such a name: {' '.join(names)}")
done = unittest.TextTestRunner(verbosity=2, resultclass=Timed).run(tests)

found = [f"{what} in {path.name}" for path in stage.log_files() for what in stage.leaks(path.read_text(errors="replace"))]
if found or not done.wasSuccessful():
    stage.OUT.mkdir(parents=True, exist_ok=True)
    for path in stage.log_files():
        (stage.OUT / path.name).write_text(stage.scrubbed(path.read_text(errors="replace")))
if found:
    print("secrets in logs:", *found, sep="\n  ", file=sys.stderr)
sys.exit(0 if done.wasSuccessful() and not found else 1)
