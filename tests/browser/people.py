"""What people do on the pages, step by step, as sentences."""

import base64
import hashlib
import json
import os
import secrets as random
import ssl
import urllib.parse
import urllib.request

import stage

ISSUER = os.environ.get("OIDC_ISSUER", "")
CLIENT = os.environ.get("OIDC_CLIENT", "")


def signs_in_with_a_token(visitor, token, path="/ui/"):
    """Goes to a page, is asked who they are, pastes a token, and comes back to the page."""
    visitor.opens(path)
    page = visitor.page
    page.get_by_label("Your Kubernetes token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Signed in as").wait_for(state="attached")
    return visitor


def goes_to_the_provider(page):
    """The way of the sign-in page that needs no token."""
    page.get_by_role("link", name="Sign in", exact=True).click()
    page.wait_for_url(f"{ISSUER}/**")


def enters_at_the_provider(page, name):
    """The provider's own pages: who are you, and may certcourier know it."""
    page.locator("input[name=login]").fill(name)
    page.locator("input[name=password]").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def id_token(visitor, name):
    """A token of the provider, by a code flow with PKCE in the visitor's browser, as a sign-in tool on a laptop does it."""
    verifier = random.token_urlsafe(32)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    redirect = os.environ["OIDC_REDIRECT"].split(" ")[0]
    question = {
        "client_id": CLIENT,
        "response_type": "code",
        "scope": "openid",
        "redirect_uri": redirect,
        "state": "tests",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    tab = visitor.another_tab()
    answered = []
    # The provider leads back to the server, which did not ask for it.
    led_back = lambda request: answered.append(request.url) if request.url.startswith(redirect) else None
    tab.on("request", led_back)
    tab.goto(f"{ISSUER}/auth?{urllib.parse.urlencode(question)}")
    enters_at_the_provider(tab, name)
    stage.until("the provider's code", lambda: answered or tab.wait_for_timeout(20))
    tab.close()
    # Its pages ask for fonts of another site, and the server knows nothing of this sign-in.
    visitor.expects("ERR_NAME_NOT_RESOLVED|ERR_INTERNET_DISCONNECTED|status of 40[0-9]")
    visitor.urls.clear()
    code = urllib.parse.parse_qs(urllib.parse.urlparse(answered[0]).query)["code"][0]
    with open(os.environ["OIDC_SECRET_FILE"]) as file:
        client_secret = file.read().strip()
    body = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect,
        "code_verifier": verifier,
    }
    basic = base64.b64encode(f"{CLIENT}:{client_secret}".encode()).decode()
    asked = urllib.request.Request(
        f"{ISSUER}/token", urllib.parse.urlencode(body).encode(), {"authorization": f"Basic {basic}"}
    )
    trusted = ssl.create_default_context(cafile=os.environ["OIDC_CA"])
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusted))
    with opener.open(asked, timeout=stage.PATIENCE) as answer:
        return stage.secret(json.load(answer)["id_token"], f"the id_token of {name}")


def service_account_token(name, namespace=stage.PAYMENTS, role="certcourier-downloader"):
    """A ServiceAccount that has a role, and its token."""
    stage.kubectl("create", "serviceaccount", name, namespace=namespace)
    role = [f"--clusterrole={role}", f"--serviceaccount={namespace}:{name}"]
    stage.kubectl("create", "rolebinding", f"{name}-role", *role, namespace=namespace)
    token = stage.kubectl("create", "token", name, "--duration", "1h", namespace=namespace).strip()
    return stage.secret(token, "a ServiceAccount's token")


def is_revoked(name, token, namespace):
    """Deletes the ServiceAccount of a token, until the API server refuses the token."""
    stage.kubectl("delete", "serviceaccount", name, namespace=namespace)
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    asks = lambda: stage.kubectl("create", "-f", "-", "-o", "json", stdin=stage.text(review))
    stage.until("the end of the token", lambda: not json.loads(asks())["status"].get("authenticated"))


def history(page, secret):
    """The entries of the tab's history that hold a secret."""
    session = page.context.new_cdp_session(page)
    entries = session.send("Page.getNavigationHistory")["entries"]
    return [entry["url"] for entry in entries if secret in entry["url"]]
