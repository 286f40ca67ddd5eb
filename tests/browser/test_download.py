"""From the certificate's page to a file on disk."""

import subprocess
import tempfile
from pathlib import Path

import people
import stage
from playwright.sync_api import Error

from pages import BrowserTest

CERTIFICATE = "/ui/projects/shop/certificates/api"


class Download(BrowserTest):
    def setUp(self):
        super().setUp()
        # The page of a link shows it, once and on purpose.
        self.secrets_on_purpose = True

    def someone(self, person="alice", path=CERTIFICATE, **options):
        return people.signs_in_with_a_token(self.visitor(person, **options), stage.token_of(person), path)

    def asks(self, visitor, file, passphrase=None, dialog=True):
        """Opens the dialog (or the page, without scripts), picks a file and generates the link."""
        page = visitor.page
        page.get_by_role("link", name="Download", exact=True).click()
        form = page.locator("dialog[open] form") if dialog else page.locator("form.chooser")
        form.locator(f"input[name=format][value={file}]").check()
        if passphrase:
            form.get_by_label("Choose my own").check()
            form.get_by_label("Passphrase", exact=True).fill(passphrase)
            form.get_by_label("The same again").fill(passphrase)
        form.get_by_role("button", name="Generate download link").click()
        page.get_by_role("heading", name="Your download link").wait_for()

    def test_the_full_chain_is_downloaded_from_the_certificates_page(self):
        alice = self.someone()
        self.asks(alice, "fullchain")
        name, content = alice.downloads(alice.page.get_by_role("button", name="Download now").click)
        self.assertEqual((name, content.decode()), ("api-fullchain.pem", stage.leaf()))
        alice.page.get_by_text("This link has been used").wait_for()

    def test_a_pkcs12_file_opens_under_the_passphrase_that_was_chosen(self):
        alice = self.someone()
        self.asks(alice, "pkcs12", passphrase="correct horse battery staple")
        name, content = alice.downloads(alice.page.get_by_role("button", name="Download now").click)
        self.assertEqual(name, "api-bundle.p12")
        self.assertIn("PRIVATE KEY", stage.opened_pkcs12(content, "correct horse battery staple"))

    def test_a_zip_opens_under_the_passphrase_that_was_generated_for_it(self):
        alice = self.someone()
        self.asks(alice, "zip")
        passphrase = stage.secret(alice.page.locator("#generated").inner_text(), "a passphrase")
        name, content = alice.downloads(alice.page.get_by_role("button", name="Download now").click)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.write_bytes(content)
            listed = subprocess.run(["unzip", "-l", file], capture_output=True, text=True, check=True)
        self.assertIn("key.pem", listed.stdout)
        self.assertGreaterEqual(len(passphrase), 16)

    def test_the_whole_way_to_a_file_works_without_javascript(self):
        alice = self.someone(scripts=False)
        self.asks(alice, "fullchain", dialog=False)
        name, content = alice.downloads(alice.page.get_by_role("button", name="Download now").click)
        self.assertEqual((name, content.decode()), ("api-fullchain.pem", stage.leaf()))

    def test_the_back_button_after_the_single_download_offers_no_second_one(self):
        alice = self.someone()
        self.asks(alice, "cert")
        alice.downloads(alice.page.get_by_role("button", name="Download now").click)
        alice.page.go_back()
        alice.page.get_by_role("heading", name="api", exact=True).wait_for()
        # The page of the link is kept nowhere, and a browser would have to send the form again to have another one.
        with self.assertRaisesRegex(Error, "ERR_CACHE_MISS"):
            alice.page.go_forward()
        shown = lambda: alice.page.url.startswith("chrome-error:") or alice.page.wait_for_timeout(20)
        stage.until("the browser's own page", shown)
        alice.expects("ERR_CACHE_MISS")
        alice.opens(CERTIFICATE)
        self.assertEqual(len(stage.receipts_of("shop", by_whom="alice", format="cert")), 1)

    def test_a_link_is_given_away_and_its_page_looks_before_it_uses_it(self):
        alice = self.someone()
        self.asks(alice, "fullchain")
        link = alice.page.locator("#link").inner_text()
        self.assertIn("/ui/t#ccd_", link)
        token = link.split("#")[1]
        stage.secret(token.rsplit(".", 1)[-1], "a download token")
        someone = self.visitor("someone")
        someone.opens(link)
        someone.page.get_by_text("This link works once.").wait_for()
        self.assertNotIn("#", someone.page.url)
        self.assertEqual(people.history(someone.page, token), [])
        name, content = someone.downloads(someone.page.get_by_role("button", name="Download", exact=True).click)
        self.assertEqual((name, content.decode()), ("api-fullchain.pem", stage.leaf()))
        late = self.visitor("late")
        late.opens(link)
        late.page.get_by_text("Ask the person who sent it for a new link").wait_for()
        self.assertFalse(late.page.get_by_role("button", name="Download", exact=True).is_visible())

    def test_a_file_that_a_policy_forbids_is_shown_with_the_reason_and_cannot_be_chosen(self):
        carol = self.someone("carol", "/ui/projects/payments/certificates/api")
        carol.page.get_by_role("link", name="Download", exact=True).click()
        dialog = carol.page.locator("dialog[open]")
        self.assertTrue(dialog.locator("input[value=key]").is_disabled())
        self.assertTrue(dialog.locator("input[value=fullchain]").is_enabled())
        reason = dialog.locator("label:has(input[value=key]) .wrong").inner_text()
        self.assertIn("lack verb `exportkey`", reason)
