"""The page behind a download link, which needs no sign-in."""

import stage
from pages import BrowserTest


class Links(BrowserTest):
    def test_a_link_opened_in_a_browser_is_not_used_until_its_button_is_pressed(self):
        self.secrets_on_purpose = True  # The page's form holds the token.
        name = stage.request("carol", namespace=stage.SHOP, format="fullchain")
        link = f"/api/v1/downloads/{stage.token_in_secret('carol', name, stage.SHOP)}"
        someone = self.visitor()
        someone.opens(link)
        someone.opens(link)
        self.assertEqual(stage.phase(name, stage.SHOP), "TokenIssued")
        button = someone.page.get_by_role("button", name="Download")
        file, content = someone.downloads(button.click)
        self.assertEqual((file, content.decode()), ("api-fullchain.pem", stage.leaf()))
        stage.until("the request is used", lambda: stage.phase(name, stage.SHOP) in ("Consumed", "Finished"))

    def test_the_back_button_after_the_single_download_brings_no_second_file(self):
        self.secrets_on_purpose = True
        name = stage.request("carol", namespace=stage.SHOP, format="cert")
        someone = self.visitor()
        someone.opens(f"/api/v1/downloads/{stage.token_in_secret('carol', name, stage.SHOP)}")
        button = someone.page.get_by_role("button", name="Download")
        someone.downloads(button.click)
        someone.page.go_back()
        # The page is kept nowhere, so the browser asks again.
        self.assertEqual(someone.page.go_forward().status, 410)
        self.assertIn("Nothing was downloaded: this token was already used", someone.page.inner_text("body"))
        self.assertEqual(button.count(), 0)
        someone.expects("410")

    def test_behind_a_sign_in_proxy_a_links_button_works_and_another_sites_form_does_nothing(self):
        self.secrets_on_purpose = True  # The page's form holds the token.
        # The proxy adds the token to whatever the browser sends.
        bob = self.visitor("bob", headers={"Authorization": f"Bearer {stage.token_of('bob')}"})
        waiting = stage.request("alice", namespace="ledger", format="key", reason="F5 import")
        stage.until("the wait for approvals", lambda: stage.phase(waiting, "ledger") == "AwaitingApproval")
        deny = f"{stage.URL}/api/v1/projects/ledger/requests/{waiting}/deny"
        json = "<input name='{\"reason\":\"' value='\"}'>"
        form = f'<form method=post enctype=text/plain action="{deny}">{json}</form>'
        bob.context.route("https://evil.example/", lambda route: route.fulfill(body=form, content_type="text/html"))
        bob.opens("https://evil.example/")
        with bob.page.expect_navigation():
            bob.page.evaluate("document.forms[0].submit()")
        self.assertIn("another site's page asked for this", bob.page.inner_text("body"))
        bob.expects("403")
        self.assertEqual(stage.phase(waiting, "ledger"), "AwaitingApproval")

        name = stage.request("carol", namespace=stage.SHOP, format="fullchain")
        bob.opens(f"/api/v1/downloads/{stage.token_in_secret('carol', name, stage.SHOP)}")
        file, content = bob.downloads(bob.page.get_by_role("button", name="Download").click)
        self.assertEqual((file, content.decode()), ("api-fullchain.pem", stage.leaf()))
