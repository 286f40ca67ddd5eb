"""What is looked at on every page: accessibility (axe), the keyboard, width, and the picture for docs/ui.md."""

import os
from pathlib import Path

AXE = Path(os.environ["AXE"]) / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")
# The script is in the page by the browser's hand; see `watched` in pages.Visitor.
RUN = "() => axe.run(document, {resultTypes: ['violations']})"


def flaws(visitor):
    """What axe finds serious on the page, each with the first element that has it."""
    page = visitor.page
    if not page.evaluate("() => 'axe' in window"):
        page.add_script_tag(content=AXE.read_text())
    found = page.evaluate(RUN)["violations"]
    return [
        f"{flaw['id']} ({flaw['impact']}): {flaw['help']}: {flaw['nodes'][0]['html'][:200]} {flaw['nodes'][0]['failureSummary']}"
        for flaw in found
        if flaw["impact"] in SERIOUS
    ]


# What is focused now: its role or tag, and its name as it is read out, roughly.
FOCUSED = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const label = e.getAttribute("aria-label") || (e.labels && e.labels[0] && e.labels[0].innerText) || e.innerText || e.value;
  const style = getComputedStyle(e);
  return {tag: e.tagName.toLowerCase(), name: (label || "").trim(), id: e.id,
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== "none"};
}"""


def tab_to(page, name, most=80):
    """Presses Tab until something with this name has the focus: what it is. Fails where nothing ever has."""
    seen = []
    for _ in range(most):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused:
            seen.append(focused["name"] or focused["id"])
            if name.lower() in (focused["name"] or "").lower() or name == focused["id"]:
                assert focused["outlined"], f"nothing shows that `{name}` has the focus"
                return focused
    raise AssertionError(f"the keyboard never comes to `{name}`: {seen}")


def overflow(page):
    """By how many pixels the page is wider than the window."""
    return page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
