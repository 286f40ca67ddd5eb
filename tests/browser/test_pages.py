"""What holds for every page: it is readable, reachable by keyboard, fits, and is quick."""

import os
import re
import time

import looks
import pages
import people
import stage
from pages import BrowserTest

# No other test asks for anything in `payments`, so that its pages are the same in every run; see `Pages.setUpClass`.
CERTIFICATE = "/ui/projects/payments/certificates/api"
DELIVERED, WAITING = "nginx", "load-balancer"
# Name, who looks, where. docs/ui.md shows them by these names.
PAGES = [
    ("sign-in", None, "/ui/sign-in"),
    ("projects", "alice", "/ui/"),
    ("certificates", "alice", "/ui/projects/payments"),
    ("certificate", "alice", CERTIFICATE),
    ("download", "alice", f"{CERTIFICATE}/download?environment=production"),
    ("no-such-page", "alice", "/ui/nothing-here"),
    ("link", None, "/ui/t"),
    ("inbox", "bob", "/ui/inbox?project=payments"),
    ("inbox-empty", "carol", "/ui/inbox?of=yours&project=many"),
    ("request", "bob", f"/ui/projects/payments/requests/{WAITING}"),
    ("request-of-alice", "alice", f"/ui/projects/payments/requests/{WAITING}"),
    ("records", "erin", "/ui/records?project=payments"),
    ("records-empty", "erin", "/ui/records?project=many&certificate=web"),
    ("receipt", "erin", "/ui/projects/payments/receipts/RECEIPT"),
]
# They are in no page of the documentation.
WITHOUT_PICTURE = {"no-such-page", "inbox-empty", "request-of-alice", "records-empty"}
THEMES = ("light", "dark")
SHOTS = stage.REPOSITORY / "docs" / "images" / "ui"
OUTLINES = stage.REPOSITORY / "tests" / "browser" / "outlines"
# What differs from run to run, and what stands for it.
CHANGES = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"\d{1,2} [A-Z][a-z]{2} \d{4}, \d\d:\d\d", "TIME"),
    (r"\b([0-9A-Fa-f]{2}:){15,}[0-9A-Fa-f]{2}", "DIGEST"),
    (r"\b([0-9a-f]{14,}|[0-9A-F]{12,})\b", "HEX"),
    (r"\b(?=[a-z]*\d)[0-9a-f]{8}-[0-9a-f-]{27}\b", "ID"),
    (r"\b\d+ (days|min|s) left", "N \\1 left"),
    # The size of a file with ECDSA signatures differs by a few bytes.
    (r"(term: Bytes\n\s*- definition: ).*", "\\1N"),
    (r"\(\d+ bytes sent\)", "(N bytes sent)"),
    (r"\b(api|staging)-[a-z0-9]{5}\b", "\\1-NAME"),
]


def outline(page):
    """The page as someone hears it who does not see it: every heading, link, field and text."""
    text = page.locator("body").aria_snapshot()
    for pattern, stand_in in CHANGES:
        text = re.sub(pattern, stand_in, text)
    return text + "\n"


class Pages(BrowserTest):
    @classmethod
    def setUpClass(cls):
        """Something to look at: one request that waits for its second approval, and one delivery."""
        why = "Renewal on the web servers, CHG-1041"
        stage.request("alice", name=DELIVERED, format="fullchain", reason=why)
        stage.downloaded(stage.token_in_secret("alice", DELIVERED))
        conditions = lambda: stage.get("downloadrequest", DELIVERED)["status"]["conditions"]
        finished = lambda: any(one["type"] == "Finished" and one["status"] == "True" for one in conditions())
        stage.until("the end of the request", finished)
        # What happens in one second has no order. Alice sees no receipts: to her, the delivery is when the request ended.
        second = int(time.time())
        stage.until("the next second", lambda: int(time.time()) > second)
        stage.request("alice", name=WAITING, format="key", reason="Key for the new load balancer, CHG-1042")
        stage.until("the wait for approvals", lambda: stage.phase(WAITING) == "AwaitingApproval")
        stage.plugin("frank", "approve", WAITING, "--yes", "--reason", "Talked to alice on the phone")
        given = lambda: stage.get("downloadrequest", WAITING)["status"]["review"]["approvals"]["given"]
        stage.until("the first approval", lambda: given() == 1)
        cls.receipt = stage.kubectl("get", "downloadreceipts", "-o", "jsonpath={.items[0].metadata.name}")

    def looking(self, who, path, **options):
        path = path.replace("RECEIPT", self.receipt)
        visitor = self.visitor(who or "nobody", **options)
        headers = {"authorization": f"Bearer {stage.token_of(who)}"} if who else {}
        visitor.context.set_extra_http_headers(headers)
        answer = visitor.opens(path)
        if answer.status == 404:
            visitor.expects("404")
        return visitor

    def test_axe_finds_nothing_serious_on_any_page_in_light_and_dark(self):
        for name, who, path in PAGES:
            visitor = self.looking(who, path, watched=False)
            for theme in THEMES:
                with self.subTest(page=name, theme=theme):
                    visitor.page.emulate_media(color_scheme=theme)
                    self.assertEqual(looks.flaws(visitor), [])

    def test_axe_finds_what_is_wrong(self):
        visitor = self.visitor(watched=False)
        visitor.page.set_content("<html lang=en><title>x</title><main><img src='data:,'><p style='color:#ccc'>pale</p></main>")
        found = " ".join(looks.flaws(visitor))
        self.assertIn("image-alt", found)
        self.assertIn("color-contrast", found)
        visitor.complaints.clear()

    def test_no_page_is_wider_than_the_window(self):
        for name, who, path in PAGES:
            visitor = self.looking(who, path)
            for width, height in (pages.PHONE, pages.TABLET, pages.DESK):
                with self.subTest(page=name, width=width):
                    visitor.page.set_viewport_size({"width": width, "height": height})
                    self.assertLessEqual(looks.overflow(visitor.page), 0)
                    self.pictures(f"{name}-{width}", visitor.page)

    def pictures(self, name, page):
        """With SCREENS set: the whole page in both themes under target/browser, for people to look at."""
        if "SCREENS" not in os.environ:
            return
        stage.OUT.mkdir(parents=True, exist_ok=True)
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            page.screenshot(path=stage.OUT / f"{name}-{theme}.png", full_page=True)

    def test_every_page_says_what_it_is_without_javascript(self):
        for name, who, path in PAGES:
            with self.subTest(page=name):
                page = self.looking(who, path, scripts=False).page
                self.assertEqual(page.locator("h1").count(), 1)
                self.assertIn("certcourier", page.title())

    def test_the_keyboard_alone_comes_from_sign_in_to_a_file(self):
        self.secrets_on_purpose = True  # The page of a link shows it, once.
        carol = self.visitor("alice")
        carol.opens("/ui/projects/shop/certificates/api")
        page = carol.page
        looks.tab_to(page, "token")
        page.keyboard.type(stage.token_of("alice"))
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="api", exact=True).wait_for()
        looks.tab_to(page, "Download")
        page.keyboard.press("Enter")
        page.locator("dialog[open]").wait_for()
        page.keyboard.press("Escape")
        self.assertEqual(page.locator("dialog[open]").count(), 0)
        page.keyboard.press("Enter")
        page.locator("dialog[open]").wait_for()
        for _ in range(30):
            if page.evaluate("document.activeElement.name") == "format":
                break
            page.keyboard.press("Tab")
        page.keyboard.press("Space")
        for _ in range(12):
            if page.evaluate("document.activeElement.value") == "fullchain":
                break
            page.keyboard.press("ArrowDown")
        looks.tab_to(page, "Generate download link")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Your download link").wait_for()
        looks.tab_to(page, "Download now")
        name, content = carol.downloads(lambda: page.keyboard.press("Enter"))
        self.assertEqual((name, content.decode()), ("api-fullchain.pem", stage.leaf()))

    def many(self):
        """The stage creates them while other tests run."""
        names = lambda: stage.kubectl("get", "certificates", "-o", "name", namespace="many").split()
        stage.until("a thousand certificates", lambda: len(names()) == 1000, patience=150)

    def test_a_thousand_certificates_are_found_sorted_and_leafed_through(self):
        self.many()
        alice = self.looking("alice", "/ui/projects/many?q=service-0777")
        self.assertEqual(alice.page.locator("tbody tr").count(), 1)
        alice.opens("/ui/projects/many")
        first = alice.page.locator("tbody th").first.inner_text()
        alice.page.get_by_role("link", name="Next").click()
        alice.page.wait_for_url("**?**")
        self.assertNotEqual(alice.page.locator("tbody th").first.inner_text(), first)

    def test_a_page_of_a_thousand_certificates_costs_little_more_than_its_facts_in_json(self):
        """Both in this run and by this server, each the quickest of many: what else the machine does is left out."""
        self.many()
        alice = self.looking("alice", "/ui/projects/many")
        facts = "/api/v1/projects/many/certificates?limit=500"
        for _ in range(12):
            alice.opens("/ui/projects/many?sort=expiry")
            self.assertEqual(alice.context.request.get(facts).status, 200)
        page = stage.quickest("/ui/projects/{project}")
        api = stage.quickest("/api/v1/projects/{project}/certificates")
        print(f"a page of 1,000 certificates: {page} ms; 500 of them in JSON: {api} ms")
        self.assertLess(page, 4 * max(api, 10))

    def test_the_pictures_of_the_documentation_show_the_pages_as_they_are(self):
        write = os.environ.get("SCREENS") == "write"
        for name, who, path in PAGES:
            with self.subTest(page=name):
                visitor = self.looking(who, path, size=pages.DESK)
                file = OUTLINES / f"{name}.yaml"
                if write:
                    for folder in (SHOTS, OUTLINES):
                        folder.mkdir(parents=True, exist_ok=True)
                    file.write_text(outline(visitor.page))
                    if name not in WITHOUT_PICTURE:
                        visitor.page.screenshot(path=SHOTS / f"{name}.png")
                self.assertEqual((SHOTS / f"{name}.png").exists(), name not in WITHOUT_PICTURE, "run `make screens`")
                self.assertEqual(outline(visitor.page), file.read_text(), "run `make screens` and commit what it changes")
