"""A person with a browser, and what is watched while they use it.

Each test has browsers of its own people. Whatever they do, the test fails where a page breaks its Content-Security-Policy,
complains on the console, or shows a secret; what failed is kept under target/browser as a picture and as HTML, both
without secrets.
"""

import atexit
import os
import re
import shutil
import unittest

from playwright.sync_api import sync_playwright

import stage

PHONE, TABLET, DESK = (390, 844), (768, 1024), (1440, 900)
# Debian's; `make requirements` installs it, or names the command.
CHROMIUM = shutil.which("chromium")

_running = {}


def chromium():
    """One browser for all tests: people are kept apart by contexts."""
    if not _running:
        playwright = sync_playwright().start()
        # The sandbox needs rights that root in a container has not.
        arguments = ["--no-sandbox"] if os.getuid() == 0 else []
        _running["browser"] = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        _running["playwright"] = playwright
        atexit.register(stop)
    return _running["browser"]


def stop():
    if _running:
        _running.pop("browser").close()
        _running.pop("playwright").stop()


# Runs before every page, by the browser's own hand and not the page's, so that no policy keeps it out.
WATCH = """document.addEventListener("securitypolicyviolation", event =>
  console.error("CSP: " + event.violatedDirective + " refused " + event.blockedURI + " " + event.sourceFile));"""


class Visitor:
    """A browser of one person: its cookies are their own."""

    def __init__(self, test, name, base=stage.URL, headers=None, size=DESK, theme="light", scripts=True, watched=True):
        self.test, self.name = test, name
        self.complaints, self.urls, self.scripts = [], [], scripts
        self.context = chromium().new_context(
            base_url=base,
            ignore_https_errors=True,
            accept_downloads=True,
            extra_http_headers=headers or {},
            viewport={"width": size[0], "height": size[1]},
            color_scheme=theme,
            reduced_motion="reduce",
            java_script_enabled=scripts,
            # What measures a page puts scripts of its own into it, so CSP is watched elsewhere.
            bypass_csp=not watched,
            timezone_id="UTC",
            locale="en-GB",
        )
        self.context.set_default_timeout(stage.PATIENCE * 1000)
        self.context.add_init_script(WATCH)
        self.context.on("console", self._console)
        self.context.on("weberror", lambda error: self.complaints.append(f"uncaught: {error.error}"))
        self.context.on("request", lambda request: self.urls.append((request.url, request.headers.get("referer", ""))))
        self.page = self.context.new_page()

    def _console(self, message):
        if message.type == "error":
            self.complaints.append(message.text)

    def opens(self, path):
        """Goes to a page: the answer."""
        return self.page.goto(path)

    def another_tab(self):
        return self.context.new_page()

    def downloads(self, act, page=None):
        """Does something that begins a download: the file's name and bytes."""
        with (page or self.page).expect_download() as download:
            act()
        path = download.value.path()
        return download.value.suggested_filename, path.read_bytes()

    def expects(self, pattern):
        """Takes back the complaints that a test provokes, such as of a page that answers 403."""
        found = [complaint for complaint in self.complaints if re.search(pattern, complaint)]
        self.complaints = [complaint for complaint in self.complaints if complaint not in found]
        return found

    def shown_secrets(self):
        """Secrets where none may be: what was asked for, what the pages hold, what the browser keeps."""
        texts = {f"a URL ({url.split('?')[0][:40]}…)": url for url, _ in self.urls}
        texts |= {"a referrer": " ".join(referrer for _, referrer in self.urls)}
        for page in self.context.pages:
            texts |= {"a page": page.content(), "the address": page.url}
            kept = "() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.referrer, history.state])"
            if self.scripts and page.url.startswith("http"):
                texts |= {"storage": page.evaluate(kept)}
        return [f"{what} in {place}" for place, text in texts.items() for what in stage.leaks(text)]


class BrowserTest(unittest.TestCase):
    """A test with people in it. Its name is a sentence about the product."""

    maxDiff = None

    def setUp(self):
        self.visitors = []
        # Where a test shows a token on purpose, in the one place where it must be.
        self.secrets_on_purpose = False

    def visitor(self, name="nobody", **options):
        visitor = Visitor(self, name, **options)
        self.visitors.append(visitor)
        return visitor

    def tearDown(self):
        problems = []
        for visitor in self.visitors:
            problems += [f"{visitor.name}'s browser complains: {complaint}" for complaint in visitor.complaints]
            if not self.secrets_on_purpose:
                problems += [f"{visitor.name} sees {secret}" for secret in visitor.shown_secrets()]
        outcome = self._outcome.result
        failed = any(getattr(case, "test_case", case) is self for case, _ in outcome.failures + outcome.errors)
        for number, visitor in enumerate(self.visitors):
            if failed or problems:
                self.keep(number, visitor)
            visitor.context.close()
        self.assertEqual(problems, [])

    def keep(self, number, visitor):
        """A picture and the HTML of each page, for whoever looks into a failure."""
        stage.OUT.mkdir(parents=True, exist_ok=True)
        for tab, page in enumerate(visitor.context.pages):
            name = stage.OUT / f"{self._testMethodName}-{number}-{visitor.name}-{tab}"
            name.with_suffix(".html").write_text(stage.scrubbed(page.content()))
            try:
                if not stage.leaks(page.inner_text("body")):
                    page.screenshot(path=name.with_suffix(".png"), full_page=True)
            except Exception as error:  # The failure itself is what counts.
                print(f"no picture of {visitor.name}'s page: {error}")
