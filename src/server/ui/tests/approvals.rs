//! Approvals and records: what is refused before the API server is asked for anything.

use super::*;
use crate::server::session::Keys;

const REQUEST: &str = "/ui/projects/payments/requests/api-key-1";

/// Someone whom a proxy signed in, and the mark of their forms.
async fn proxied(state: &ServerState, request: Builder) -> (Builder, String) {
    let mark = state.sessions.mark(&Keys::holder(&Redacted::new("canary".to_owned()))).await;
    (request.header("authorization", "Bearer canary"), mark)
}

#[tokio::test]
async fn who_is_not_signed_in_sees_no_request_and_no_record() {
    for path in [
        "/ui/inbox?of=waiting",
        REQUEST,
        "/ui/records?sha256=ab",
        "/ui/records/receipts.csv",
        "/ui/records/receipts.json",
        "/ui/projects/payments/receipts/r-1",
        "/ui/events/inbox",
        "/ui/events/projects/payments/requests/api-key-1",
    ] {
        let answer = send(&app(), Request::get(path), "").await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
        assert!(location(&answer).contains("sign-in?next="), "{path}: {}", location(&answer));
    }
    for action in ["vote", "revoke"] {
        let answer = send(&app(), form(&format!("{REQUEST}/{action}")), "decision=approve").await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{action}");
        has_the_headers_of_a_page(answer.headers());
        assert!(text(answer).await.contains("nothing was changed"), "{action}");
    }
}

#[tokio::test]
async fn a_vote_from_another_site_or_without_the_mark_of_its_reader_is_not_cast() {
    let state = state(&[]);
    let app = router(Arc::clone(&state));
    for action in ["vote", "revoke"] {
        let path = format!("{REQUEST}/{action}");
        let (request, mark) = proxied(&state, Request::post(&path)).await;
        let request = request.header("sec-fetch-site", "cross-site");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = send(&app, request, &format!("mark={mark}&decision=approve&reason=x&digest=d")).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{action}");
        assert!(text(answer).await.contains("another site"), "{action}");
        let other = state.sessions.mark("another session").await;
        for mark in [String::new(), format!("mark={other}&")] {
            let (request, _) = proxied(&state, form(&path)).await;
            let answer = send(&app, request, &format!("{mark}decision=approve&reason=x&digest=d")).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{action}: {mark}");
            has_the_headers_of_a_page(answer.headers());
            let page = text(answer).await;
            assert!(page.contains("so nothing was changed") && !page.contains("canary"), "{page}");
        }
    }
}

#[tokio::test]
async fn a_form_that_says_neither_yes_nor_no_is_refused() {
    let state = state(&[]);
    let (request, mark) = proxied(&state, form(&format!("{REQUEST}/vote"))).await;
    let answer = send(&router(Arc::clone(&state)), request, &format!("mark={mark}&decision=perhaps&reason=x")).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(text(answer).await.contains("to approve or to deny"));
}

#[tokio::test]
async fn only_what_is_meant_changes_something() {
    for (method, path) in [("GET", "/vote"), ("GET", "/revoke"), ("POST", "")] {
        let request = Request::builder().method(method).uri(format!("{REQUEST}{path}"));
        let answer = send(&app(), request.header("sec-fetch-site", "same-origin"), "").await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
    }
}
