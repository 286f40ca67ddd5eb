"""The list of checks. Each is a sentence about the product, printed with ok or FAIL and its time."""
import time
import traceback


class Failed(Exception):
    """What a check saw instead."""


CHECKS = []
FIGURES = []


def check(sentence):
    """Registers a function as a check. It fails by an exception, and may return a few words about what it saw."""

    def register(function):
        CHECKS.append((sentence, function))
        return function

    return register


def demand(condition, otherwise):
    if not condition:
        raise Failed(otherwise)


def figure(name, value):
    """For docs/performance.md."""
    FIGURES.append((name, value))


def section(title):
    CHECKS.append((title, None))


def run_all(wanted):
    """Runs the checks whose sentence or section has one of these texts, or all. The number of those that failed."""
    failed, passed, title = [], 0, ""
    for sentence, function in CHECKS:
        if function is None:
            title = sentence
            continue
        # What installs and makes the people is what all others stand on.
        if wanted and title != "install" and not any(text == title or text in sentence for text in wanted):
            continue
        began = time.monotonic()
        try:
            saw, verdict = function(), "ok  "
            passed += 1
        except Failed as error:
            saw, verdict = str(error), "FAIL"
        except Exception:  # What a check did not expect is its failure, too, and not the end of the list.
            saw, verdict = traceback.format_exc().strip(), "FAIL"
        if verdict == "FAIL":
            failed.append(sentence)
        print(f"{verdict} {time.monotonic() - began:6.1f} s  {title}: {sentence}", flush=True)
        if saw:
            print("                 " + str(saw).replace("\n", "\n                 "), flush=True)
    print(f"e2e: {passed} ok, {len(failed)} failed")
    for name, value in FIGURES:
        print(f"e2e: figure: {name}: {value}")
    return len(failed)
