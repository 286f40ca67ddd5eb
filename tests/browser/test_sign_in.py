"""The ways to sign in, the session, and its end."""

import people
import stage
from pages import BrowserTest


class SignIn(BrowserTest):
    def test_who_follows_a_deep_link_signs_in_and_comes_to_the_page_that_they_wanted(self):
        carol = self.visitor("carol")
        wanted = "/ui/projects/payments?sort=expiry"
        people.signs_in_with_a_token(carol, stage.token_of("carol"), wanted)
        self.assertTrue(carol.page.url.endswith(wanted), carol.page.url)
        self.assertIn("carol", carol.page.locator(".who").inner_text())
        cookies = [c for c in carol.context.cookies() if c["name"].startswith("__Host-")]
        self.assertTrue(cookies)
        for cookie in cookies:
            self.assertEqual((cookie["httpOnly"], cookie["secure"], cookie["sameSite"]), (True, True, "Strict"))
            self.assertNotIn(stage.token_of("carol"), cookie["value"])
        self.assertEqual(carol.page.evaluate("document.cookie"), "")

    def test_a_session_ends_with_sign_out_also_in_the_other_tab(self):
        carol = people.signs_in_with_a_token(self.visitor("carol"), stage.token_of("carol"))
        other = carol.another_tab()
        other.goto("/ui/")
        carol.page.get_by_role("button", name="Sign out").click()
        carol.page.get_by_text("You are signed out").wait_for()
        self.assertFalse([c for c in carol.context.cookies() if c["name"].startswith("__Host-")])
        other.reload()
        other.get_by_label("Your Kubernetes token").wait_for()

    def test_a_token_that_is_no_ones_is_refused_in_words_and_is_not_shown(self):
        stranger = self.visitor("stranger")
        stranger.opens("/ui/")
        wrong = stage.secret("not-a-token-of-anyone-here", "a wrong token")
        stranger.page.get_by_label("Your Kubernetes token").fill(wrong)
        stranger.page.get_by_role("button", name="Sign in").click()
        stranger.page.get_by_role("alert").wait_for()
        self.assertEqual(stranger.context.cookies(), [])
        stranger.expects("401")

    def test_no_way_back_leads_to_another_site(self):
        carol = self.visitor("carol")
        elsewhere = ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "../api/v1/projects"]
        for way in elsewhere:
            carol.context.clear_cookies()
            people.signs_in_with_a_token(carol, stage.token_of("carol"), f"/ui/sign-in?next={way}")
            self.assertEqual(carol.page.url, f"{stage.URL}/ui/", way)

    def test_everything_of_the_sign_in_works_without_javascript(self):
        carol = self.visitor("carol", scripts=False)
        people.signs_in_with_a_token(carol, stage.token_of("carol"), "/ui/projects/payments")
        self.assertTrue(carol.page.url.endswith("/ui/projects/payments"))
        carol.page.get_by_role("button", name="Sign out").click()
        carol.page.get_by_text("You are signed out").wait_for()

    def test_a_proxy_that_sends_the_token_signs_people_in(self):
        token = stage.token_of("carol")
        # As large as the headers of a proxy are that tells everything it knows.
        large = {f"x-forwarded-groups-{n}": "g" * 1000 for n in range(4)}
        carol = self.visitor("carol", headers={"authorization": f"Bearer {token}"} | large)
        self.assertEqual(carol.opens("/ui/").status, 200)
        self.assertIn("carol", carol.page.locator(".who").inner_text())
        self.assertEqual(carol.page.get_by_role("button", name="Sign out").count(), 0)
        self.assertEqual(carol.context.cookies(), [])

    def test_a_session_whose_token_is_revoked_is_over_at_the_next_click(self):
        token = people.service_account_token("visiting")
        robot = people.signs_in_with_a_token(self.visitor("robot"), token, "/ui/projects/payments")
        stage.kubectl("delete", "serviceaccount", "visiting")

        def over():
            robot.opens("/ui/projects/payments")
            return robot.page.get_by_text("Your session is over").count() > 0

        stage.until("the end of the session", over)
        self.assertFalse([c for c in robot.context.cookies() if c["name"].startswith("__Host-")])
        self.assertIn("next=projects", robot.page.url)
        robot.expects("401")

    def test_a_page_of_another_site_cannot_use_a_session(self):
        carol = people.signs_in_with_a_token(self.visitor("carol"), stage.token_of("carol"))
        form = f'<form method=post action="{stage.URL}/ui/sign-out"><input name=mark value=x></form>'
        carol.context.route("https://evil.example/", lambda route: route.fulfill(body=form, content_type="text/html"))
        evil = carol.another_tab()
        evil.goto("https://evil.example/")
        with evil.expect_response("**/ui/sign-out") as answer:
            evil.evaluate("document.forms[0].submit()")
        self.assertEqual(answer.value.status, 403)
        self.assertIn("nother site's page asked for this", evil.inner_text("body"))
        carol.page.reload()
        self.assertIn("carol", carol.page.locator(".who").inner_text())
        # Nor can it show the page inside of its own.
        evil.goto("https://evil.example/")
        evil.evaluate(f"document.body.innerHTML = '<iframe src=\"{stage.URL}/ui/\"></iframe>'")
        frame = lambda: evil.frames[-1].url.startswith("chrome-error:") or evil.wait_for_timeout(20)
        stage.until("the refusal of a frame", frame)
        carol.expects("403|[Ff]ram")

    def test_people_sign_in_at_the_provider_that_the_api_server_trusts_and_come_to_the_page_that_they_wanted(self):
        wanted = "/ui/projects/payments?sort=expiry"
        for name in ("ada", "many"):  # The second one is in 300 groups.
            with self.subTest(person=name):
                person = self.visitor(name)
                person.opens(wanted)
                people.goes_to_the_provider(person.page)
                people.enters_at_the_provider(person.page, name)
                person.page.wait_for_url(f"**{wanted}")
                self.assertIn(f"oidc:{name}", person.page.locator(".who").inner_text())
                # They have no rights here yet, and the provider's pages ask for fonts of another site.
                person.expects("ERR_NAME_NOT_RESOLVED|ERR_INTERNET_DISCONNECTED|status of 40[34]")

    def test_a_token_of_an_openid_provider_with_300_groups_is_a_session(self):
        many = self.visitor("many")
        token = people.id_token(many, "many")
        self.assertGreater(len(token), 8000)
        people.signs_in_with_a_token(many, token)
        self.assertEqual(many.opens("/ui/").status, 200)
        self.assertIn("oidc:many", many.page.locator(".who").inner_text())
        cookies = [c["name"] for c in many.context.cookies(stage.URL) if c["name"].startswith("__Host-")]
        self.assertGreaterEqual(len(cookies), 1)
