"""`kubectl certcourier web`, with a real browser."""

import os
import signal
import socket
import subprocess
import unittest

import stage
from pages import BrowserTest


class Web:
    """The command, running as one of the people."""

    def __init__(self, test, person, *flags):
        environment = os.environ | {
            "KUBECONFIG": str(stage.kubeconfig_of(person)),
            "CERTCOURIER_SERVER": stage.URL,
            "CERTCOURIER_SERVER_CA": stage.CA,
        }
        self.process = subprocess.Popen(
            [stage.PLUGIN, "web", "--no-browser", *flags],
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        test.addCleanup(self.end)
        self.link = self.process.stdout.readline().strip()
        self.origin = self.link.rsplit("/", 1)[0]
        stage.secret(self.link.rsplit("/", 1)[1], "the link of `web`")

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=stage.PATIENCE)
        return self.process.returncode


class Plugin(BrowserTest):
    def at_the_page(self, *flags):
        """carol, who has followed the link of her plugin."""
        web = Web(self, "carol", *flags)
        carol = self.visitor("carol", base=web.origin)
        carol.opens(web.link)
        carol.page.wait_for_url("**/ui/**")
        carol.urls.clear()  # The link itself, which is dead now.
        carol.expects("404")  # Until there is a page.
        return web, carol

    def test_the_plugins_page_opens_once_and_ends_with_ctrl_c(self):
        web = Web(self, "carol")
        carol = self.visitor("carol", base=web.origin)
        carol.opens(web.link)
        carol.page.wait_for_url("**/ui/**")
        cookies = carol.context.cookies()
        self.assertEqual([(c["httpOnly"], c["sameSite"]) for c in cookies], [(True, "Strict")])
        carol.urls.clear()  # The link itself, which is dead now.
        second = self.visitor("mallory", base=web.origin)
        self.assertEqual(second.opens(web.link).status, 410)
        self.assertIn("works once", second.page.inner_text("body"))
        second.urls.clear()
        second.opens("about:blank")
        second.expects("410")
        carol.expects("404")  # Until there is a page.
        self.assertEqual(web.end(), 0)

    def test_a_page_of_another_origin_cannot_make_the_plugin_do_anything(self):
        web, carol = self.at_the_page()
        # An evil page in the same browser, with the cookie at hand: its forms and its scripts.
        form = f'<form method=post action="{web.origin}/api/v1/downloads"><input name=token value=x></form>'
        carol.context.route("https://evil.example/", lambda route: route.fulfill(body=form, content_type="text/html"))
        evil = carol.another_tab()
        evil.goto("https://evil.example/")
        with evil.expect_navigation():
            evil.evaluate("document.forms[0].submit()")
        self.assertIn("Another page made your browser ask for this", evil.inner_text("body"))
        evil.goto("https://evil.example/")
        fetched = f"fetch('{web.origin}/ui/', {{credentials: 'include'}}).then(() => 'read', () => 'refused')"
        self.assertEqual(evil.evaluate(fetched), "refused")
        carol.expects("403|CORS|ERR_FAILED|Private Network|loopback")

    def test_a_name_that_was_rebound_to_this_machine_is_refused_by_the_plugin(self):
        # With a port of one's own the page is at 127.0.0.1; without, where no name leads.
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        web, carol = self.at_the_page("--port", port)
        self.assertEqual(web.origin, f"http://127.0.0.1:{port}")
        # Chromium leads every name below localhost to this machine, as a rebound name would be.
        rebound = self.visitor("carol", base=f"http://rebound.localhost:{port}")
        self.assertEqual(rebound.opens("/ui/").status, 421)
        self.assertIn("not the address", rebound.page.inner_text("body"))
        rebound.expects("421")
