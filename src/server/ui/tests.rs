use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, Response, StatusCode, header, request::Builder},
};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use tower::ServiceExt as _;

mod approvals;
mod strangers;

use super::*;
use crate::{
    metrics::Metrics,
    redact::Redacted,
    server::{ServerArgs, router, session::Session},
};

fn state(flags: &[&str]) -> Arc<ServerState> {
    Arc::new(ServerState::for_tests(&ServerArgs::for_tests(flags), &Metrics::new("server")))
}

fn app() -> Router {
    router(state(&[]))
}

async fn send(app: &Router, request: Builder, body: &str) -> Response<Body> {
    app.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap()
}

async fn text(answer: Response<Body>) -> String {
    String::from_utf8(to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
}

fn form(path: &str) -> Builder {
    Request::post(path)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
}

fn location(answer: &Response<Body>) -> &str {
    answer.headers()[header::LOCATION].to_str().unwrap()
}

/// The Cookie header of someone who signed in with this token.
async fn cookie(state: &ServerState, token: &str) -> String {
    let now = state.clients.clock().now();
    let session = Session::begin(Redacted::new(token.to_owned()), "carol".to_owned(), now).unwrap();
    let values = session.sealed(&state.sessions, 16 * 1024).await.unwrap();
    values.iter().enumerate().map(|(number, value)| format!("__Host-cc{number}={value}")).collect::<Vec<_>>().join("; ")
}

fn has_the_headers_of_a_page(headers: &HeaderMap) {
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    for part in
        ["default-src 'none'", "script-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("sandbox"), "{policy}");
    assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
}

#[tokio::test]
async fn every_page_has_a_strict_policy_and_is_kept_by_no_one() {
    for (path, status) in [("/ui/sign-in", StatusCode::OK), ("/ui/nothing", StatusCode::NOT_FOUND)] {
        let answer = send(&app(), Request::get(path), "").await;
        assert_eq!(answer.status(), status, "{path}");
        has_the_headers_of_a_page(answer.headers());
        let page = text(answer).await;
        assert!(page.starts_with("<!doctype html>") && page.contains("<html lang=\"en\">"), "{page}");
        for inline in ["<style", " style=", " onclick", "javascript:", "<script>"] {
            assert!(!page.contains(inline), "{path}: {inline}");
        }
    }
}

#[tokio::test]
async fn who_is_not_signed_in_signs_in_and_comes_back_to_the_same_page() {
    let answer = send(&app(), Request::get("/ui/?sort=expiry").header("sec-fetch-site", "none"), "").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(location(&answer), "./sign-in?next=%3Fsort%3Dexpiry");
    let page = text(send(&app(), Request::get("/ui/sign-in?next=projects/payments%3Fx%3D1"), "").await).await;
    assert!(page.contains("name=\"next\" value=\"projects/payments?x=1\""), "{page}");
    for elsewhere in ["//evil.example", "https:evil.example", "%5C%5Cevil.example", "../api"] {
        let page = text(send(&app(), Request::get(format!("/ui/sign-in?next={elsewhere}")), "").await).await;
        assert!(page.contains("name=\"next\" value=\"\"") && !page.contains("evil"), "{page}");
    }
}

#[tokio::test]
async fn a_link_from_another_site_is_led_on_so_that_the_session_comes_along() {
    let answer = send(&app(), Request::get("/ui/").header("sec-fetch-site", "cross-site"), "").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let page = text(answer).await;
    assert!(page.contains("<meta http-equiv=\"refresh\" content=\"0\">"), "{page}");
}

#[tokio::test]
async fn a_session_that_was_not_sealed_here_is_over() {
    let answer = send(&app(), Request::get("/ui/").header("cookie", "__Host-cc0=AQIDBAUGBwgJ"), "").await;
    assert_eq!(location(&answer), "./sign-in?next=&over=yes");
    let deleted = answer.headers().get_all(header::SET_COOKIE);
    assert_eq!(deleted.iter().filter(|cookie| cookie.to_str().unwrap().contains("Max-Age=0")).count(), 4);
}

#[tokio::test]
async fn a_session_signs_in_and_its_token_is_in_no_page() {
    let state = state(&[]);
    let request = Request::get("/ui/sign-in?next=projects/payments").header("cookie", cookie(&state, "canary").await);
    let answer = send(&router(Arc::clone(&state)), request, "").await;
    assert_eq!((answer.status(), location(&answer)), (StatusCode::SEE_OTHER, "./projects/payments"));
    // The API server of this test does not answer, so this is a refusal; the frame knows who it is for.
    let request = Request::get("/ui/nothing").header("cookie", cookie(&state, "canary").await);
    let page = text(send(&router(state), request, "").await).await;
    assert!(page.contains("carol") && !page.contains("canary"), "{page}");
}

#[tokio::test]
async fn what_another_site_asks_for_is_not_done() {
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let request = Request::post("/ui/sign-out")
            .header("host", "certs.example.com")
            .header("content-type", "application/x-www-form-urlencoded")
            .header(name, value);
        let answer = send(&app(), request, "").await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name}: {value}");
        assert!(!answer.headers().contains_key(header::SET_COOKIE));
        has_the_headers_of_a_page(answer.headers());
        assert!(text(answer).await.contains("another site"));
    }
    for (name, value) in [("sec-fetch-site", "same-origin"), ("origin", "https://certs.example.com")] {
        let request = Request::post("/ui/sign-out")
            .header("host", "certs.example.com")
            .header("content-type", "application/x-www-form-urlencoded")
            .header(name, value);
        assert_eq!(send(&app(), request, "").await.status(), StatusCode::SEE_OTHER, "{name}: {value}");
    }
}

#[tokio::test]
async fn a_form_without_the_mark_of_its_session_does_nothing() {
    let state = state(&[]);
    let (cookie, other) = (cookie(&state, "canary").await, state.sessions.mark("another session").await);
    for mark in ["", "mark=x", &format!("mark={other}")] {
        let request = form("/ui/sign-out").header("cookie", &cookie);
        let answer = send(&router(Arc::clone(&state)), request, mark).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{mark}");
        assert!(!answer.headers().contains_key(header::SET_COOKIE), "{mark}");
    }
}

#[tokio::test]
async fn signing_out_deletes_every_cookie() {
    let answer = send(&app(), form("/ui/sign-out"), "").await;
    assert_eq!((answer.status(), location(&answer)), (StatusCode::SEE_OTHER, "./sign-in?out=yes"));
    assert_eq!(answer.headers().get_all(header::SET_COOKIE).iter().count(), 4);
}

#[tokio::test]
async fn what_is_not_a_token_is_refused_as_a_page_with_the_request_id() {
    for (body, said) in [("token=", "no token in the form"), ("token=canary+canary", "not a token"), ("%", "no token")]
    {
        let request = form("/ui/sign-in").header("x-request-id", "my-request-1");
        let answer = send(&app(), request, body).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{body}");
        has_the_headers_of_a_page(answer.headers());
        let page = text(answer).await;
        assert!(page.contains(said) && page.contains("my-request-1") && !page.contains("canary"), "{page}");
    }
    let json = Request::post("/ui/sign-in").header("content-type", "application/json");
    assert_eq!(send(&app(), json, "{}").await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn styles_and_script_are_kept_for_ever_under_the_hash_of_their_content() {
    let page = text(send(&app(), Request::get("/ui/sign-in"), "").await).await;
    for (extension, content_type) in [("css", "text/css"), ("js", "text/javascript"), ("svg", "image/svg+xml")] {
        let end = page.find(&format!(".{extension}\"")).unwrap() + extension.len() + 1;
        let path = &page[page[..end].rfind('"').unwrap() + 1..end];
        let answer = send(&app(), Request::get(path.replacen("./", "/ui/", 1)), "").await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert!(answer.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with(content_type));
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
    }
    assert_eq!(send(&app(), Request::get("/ui/static/certcourier-0.css"), "").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_session_may_hold_a_token_that_is_larger_than_a_header_may_be() {
    let groups: Vec<String> =
        (0..300).map(|number| format!("a-department-with-quite-a-long-name-{number:04}")).collect();
    let payload = serde_json::json!({"sub": "carol", "groups": groups}).to_string();
    let token = format!(
        "{}.{}.c2ln",
        Base64UrlUnpadded::encode_string(b"{}"),
        Base64UrlUnpadded::encode_string(payload.as_bytes())
    );
    let state = state(&[]);
    assert!(token.len() > state.max_header_bytes as usize);
    let request = Request::get("/ui/static/certcourier-0.css").header("cookie", cookie(&state, &token).await);
    assert_eq!(send(&router(Arc::clone(&state)), request, "").await.status(), StatusCode::NOT_FOUND, "and not 431");
    let bearer = Request::get("/ui/static/certcourier-0.css").header("authorization", format!("Bearer {token}"));
    let refused = send(&router(state), bearer, "").await;
    assert_eq!(refused.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test]
async fn a_server_without_the_web_page_has_none() {
    let app = router(state(&["--ui=false"]));
    let answer = send(&app, Request::get("/ui/sign-in"), "").await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert!(text(answer).await.starts_with('{'));
}
