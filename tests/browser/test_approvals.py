"""Approvals: a requester and approvers, each with a browser of their own. Two people must approve in `ledger`."""

import tempfile
from pathlib import Path

import people
import stage
from pages import BrowserTest

LEDGER = "ledger"


class Approvals(BrowserTest):
    def someone(self, person, path="/ui/", **options):
        return people.signs_in_with_a_token(self.visitor(person, **options), stage.token_of(person), path)

    def waiting(self, **spec):
        """A request of alice's that waits for two approvals: its name, and the path of its page."""
        name = stage.request("alice", namespace=LEDGER, **({"format": "key", "reason": "F5 import"} | spec))
        stage.until("the wait for approvals", lambda: stage.phase(name, LEDGER) == "AwaitingApproval")
        return name, f"/ui/projects/{LEDGER}/requests/{name}"

    def votes(self, visitor, decision, reason, page=None):
        page = page or visitor.page
        vote = page.locator("#vote")
        vote.get_by_label("Reason").fill(reason)
        vote.get_by_role("button", name=decision, exact=True).click()
        page.locator("[role=status]:not(.hidden)").wait_for()

    def votes_of(self, name):
        return stage.get("downloadrequest", name, LEDGER)["status"].get("approvals", [])

    def test_requester_and_approvers_in_browsers_of_their_own_come_to_a_file_that_openssl_opens(self):
        self.secrets_on_purpose = True  # The page of the link shows it to alice, once.
        alice = self.someone("alice", f"/ui/projects/{LEDGER}/certificates/api")
        alice.page.get_by_role("link", name="Download", exact=True).click()
        form = alice.page.locator("dialog[open] form")
        form.locator("input[name=format][value=pkcs12]").check()
        form.get_by_label("Why do you need it?").fill("New load balancer, CHG-1042")
        form.get_by_role("button", name="Generate download link").click()
        alice.page.wait_for_url("**/requests/*")
        name = alice.page.url.split("/requests/")[1].split("?")[0]
        status = alice.page.locator("#status")
        status.get_by_text("0 of 2").wait_for()
        self.assertEqual(alice.page.get_by_role("button", name="Approve").count(), 0)
        alice.page.get_by_text("yourself").first.wait_for()

        bob = self.someone("bob", f"/ui/inbox?project={LEDGER}")
        mine = bob.page.locator(".request", has=bob.page.locator(f"a[href$='{name}']"))
        mine.get_by_role("link", name="Review").click()
        bob.page.get_by_text("New load balancer, CHG-1042").first.wait_for()
        self.votes(bob, "Approve", "Checked with alice")
        # Her page says so by itself.
        status.get_by_text("1 of 2").wait_for()
        alice.page.locator("#votes").get_by_text("Checked with alice").wait_for()
        frank = self.someone("frank", f"/ui/projects/{LEDGER}/requests/{name}")
        self.votes(frank, "Approve", "Seen")
        stage.until("the approval", lambda: stage.phase(name, LEDGER) == "Approved")

        status.get_by_text("2 of 2").wait_for()
        alice.page.get_by_role("button", name="Generate download link").click()
        alice.page.get_by_role("heading", name="Your download link").wait_for()
        passphrase = stage.secret(alice.page.locator("#generated").inner_text(), "a passphrase")
        file, content = alice.downloads(alice.page.get_by_role("button", name="Download now").click)
        self.assertEqual(file, "api-bundle.p12")
        self.assertIn("PRIVATE KEY", stage.opened_pkcs12(content, passphrase))

        # The auditor finds it, with both votes, by the digest of the file.
        erin = self.someone("erin", f"/ui/records?project={LEDGER}")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / file
            path.write_bytes(content)
            erin.page.locator("#file").set_input_files(path)
            digest = lambda: erin.page.locator("#sha256").input_value() or erin.page.wait_for_timeout(20)
            stage.until("the digest", digest)
        erin.page.get_by_role("button", name="Search", exact=True).click()
        erin.page.wait_for_url("**sha256=*")
        self.assertEqual(erin.page.locator("tbody tr").count(), 1)
        self.assertIn("bob, frank", erin.page.locator("tbody tr").inner_text())
        csv, content = erin.downloads(erin.page.get_by_role("link", name="CSV").click)
        self.assertEqual(csv, "receipts.csv")
        self.assertIn("New load balancer, CHG-1042", content.decode())

    def test_one_person_who_votes_in_two_tabs_at_once_has_one_vote(self):
        name, path = self.waiting()
        bob = self.someone("bob", path)
        tabs = [bob.page, bob.another_tab()]
        tabs[1].goto(path)
        for number, tab in enumerate(tabs):
            tab.locator("#vote").get_by_label("Reason").fill(f"from tab {number}")
        for tab in tabs:
            tab.evaluate("document.querySelector('#vote button[value=approve]').click()")
        for tab in tabs:
            # Either it is the vote, or it says that there is one.
            tab.locator(".alert[role]:visible").first.wait_for()
            self.assertRegex(tab.locator(".alert[role]:visible").first.inner_text(), "on record|already")
        self.assertEqual([vote["username"] for vote in self.votes_of(name)], ["bob"])
        bob.expects("status of 4")
        tabs[1].reload()
        self.assertEqual(tabs[1].get_by_role("button", name="Approve", exact=True).count(), 0)

    def test_what_changes_under_review_while_someone_reads_stops_their_vote_until_they_have_read_it(self):
        certificate = {
            "apiVersion": "certcourier.io/v1alpha1",
            "kind": "Certificate",
            "metadata": {"name": "renewed", "namespace": LEDGER},
            "spec": {"environments": [{"name": "production", "secretRef": {"name": "staging-tls"}}]},
        }
        stage.apply(certificate, person="dave", namespace=LEDGER)
        ready = lambda: stage.get("certificate", "renewed", LEDGER).get("status", {}).get("environments")
        stage.until("the certificate", ready)
        name, path = self.waiting(certificate="renewed")
        bob = self.someone("bob", path)
        bob.page.locator("#vote").get_by_label("Reason").fill("I have read it")
        new = {"data": stage.get("secret", "api-tls", LEDGER)["data"]}
        stage.kubectl("patch", "secret", "staging-tls", "--type=merge", "--patch-file=/dev/stdin", namespace=LEDGER, stdin=stage.text(new))
        # Secrets are not watched; Certificates are.
        stage.kubectl("annotate", "certificate", "renewed", "example.com/renewed=now", person="dave", namespace=LEDGER)
        bob.page.get_by_text("has changed while you were looking").wait_for()
        self.assertTrue(bob.page.get_by_role("button", name="Approve", exact=True).is_disabled())
        bob.page.get_by_role("link", name="Read it as it is now").click()
        bob.page.get_by_text("Round 2").first.wait_for()
        self.votes(bob, "Approve", "I have read it again")
        reviewed = stage.get("downloadrequest", name, LEDGER)["status"]["review"]
        self.assertEqual(reviewed["round"], 2)
        self.assertEqual([vote["digest"] for vote in self.votes_of(name)], [reviewed["digest"]])

    def test_a_page_opened_before_its_review_began_has_the_form_only_together_with_all_that_the_vote_is_about(self):
        # Without what it asks for there is no review yet.
        secret = stage.get("secret", "staging-tls", LEDGER)
        certificate = {
            "apiVersion": "certcourier.io/v1alpha1",
            "kind": "Certificate",
            "metadata": {"name": "early", "namespace": LEDGER},
            "spec": {"environments": [{"name": "production", "secretRef": {"name": "early-tls"}}]},
        }
        stage.apply(certificate, namespace=LEDGER)
        name = stage.request("alice", namespace=LEDGER, certificate="early", format="key", reason="F5 import")
        path = f"/ui/projects/{LEDGER}/requests/{name}"
        bob, frank = self.someone("bob", path), self.someone("frank", path)
        digest = lambda visitor: visitor.page.locator("#vote").get_attribute("data-digest")
        self.assertEqual((digest(bob), digest(frank)), ("", ""))
        loaded = "document.body.dataset.loaded = 'first'"
        bob.page.evaluate(loaded)
        frank.page.evaluate(loaded)
        # frank is about to revoke it.
        frank.page.get_by_text("Revoke the request").click()
        frank.page.get_by_label("Why it is revoked").fill("Not today")
        made = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "early-tls"}, "data": secret["data"]}
        stage.apply(made, namespace=LEDGER)
        stage.kubectl("annotate", "certificate", "early", "example.com/made=now", namespace=LEDGER)
        stage.until("the wait for approvals", lambda: stage.phase(name, LEDGER) == "AwaitingApproval")
        bob.page.get_by_role("button", name="Approve", exact=True).wait_for()
        self.assertIsNone(bob.page.evaluate("document.body.dataset.loaded || null"), "the whole page is another one")
        reviewed = stage.get("downloadrequest", name, LEDGER)["status"]["review"]["digest"]
        self.assertEqual((digest(bob), bob.page.locator("#vote [name=digest]").input_value()), (reviewed, reviewed))
        # Nothing changes under the hands of someone who writes.
        frank.page.locator("#stale").wait_for()
        self.assertEqual(frank.page.evaluate("document.body.dataset.loaded"), "first")
        self.assertEqual(frank.page.get_by_label("Why it is revoked").input_value(), "Not today")
        self.assertEqual(frank.page.locator("#vote [name=digest]").count(), 0)
        # And once the form is there, another digest stops it.
        stage.kubectl("delete", "secret", "early-tls", namespace=LEDGER)
        renewed = made | {"data": stage.get("secret", "api-tls", LEDGER)["data"]}
        stage.apply(renewed, namespace=LEDGER)
        stage.kubectl("annotate", "certificate", "early", "example.com/renewed=now", namespace=LEDGER)
        bob.page.locator("#stale").wait_for()
        self.assertTrue(bob.page.get_by_role("button", name="Approve", exact=True).is_disabled())
        self.assertEqual(bob.page.locator("#vote [name=digest]").input_value(), reviewed)

    def test_a_vote_needs_no_script_and_a_denial_ends_the_request_with_its_reason(self):
        name, path = self.waiting()
        bob = self.someone("bob", path, scripts=False)
        self.votes(bob, "Deny", "No ticket")
        stage.until("the end", lambda: stage.phase(name, LEDGER) == "Denied")
        alice = self.someone("alice", path, scripts=False)
        self.assertIn("No ticket", alice.page.locator("#votes").inner_text())
        self.assertEqual(alice.page.get_by_role("button", name="Generate download link").count(), 0)

    def test_a_page_whose_token_is_revoked_while_it_is_open_goes_to_the_sign_in_and_shows_nothing_new(self):
        name, path = self.waiting()
        token = people.service_account_token("watching", LEDGER, "certcourier-approver")
        robot = people.signs_in_with_a_token(self.visitor("robot"), token, path)
        robot.page.locator("#status").get_by_text("0 of 2").wait_for()
        people.is_revoked("watching", token, LEDGER)
        frank = self.someone("frank", path)
        self.votes(frank, "Approve", "Seen by frank")
        robot.page.get_by_text("Your session is over").wait_for()
        self.assertIn(f"next=projects%2F{LEDGER}%2Frequests%2F{name}", robot.page.url)
        self.assertFalse([c for c in robot.context.cookies() if c["name"].startswith("__Host-")])
        robot.expects("40[13]")

    def test_a_form_that_is_sent_after_its_token_was_revoked_does_nothing_and_says_so(self):
        token = people.service_account_token("leaving", LEDGER)
        robot = people.signs_in_with_a_token(self.visitor("robot"), token, f"/ui/projects/{LEDGER}/certificates/api")
        robot.page.get_by_role("link", name="Download", exact=True).click()
        form = robot.page.locator("dialog[open] form")
        form.locator("input[name=format][value=fullchain]").check()
        people.is_revoked("leaving", token, LEDGER)
        form.get_by_role("button", name="Generate download link").click()
        robot.page.get_by_role("heading", name="You are not signed in").wait_for()
        robot.page.get_by_role("main").get_by_role("link", name="Sign in").wait_for()
        robot.expects("401")
        asked = stage.kubectl("get", "downloadrequests", "-o", "json", namespace=LEDGER)
        self.assertNotIn("serviceaccount:ledger:leaving", asked)
