//! What people who are not signed in can make the server do.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use axum::Json;
use serde_json::json;

use super::*;
use crate::server::{
    oidc::{Begun, Oidc},
    session::begun,
};

/// A provider that counts how often it is asked for a token, and gives none.
struct Provider {
    issuer: String,
    asked: Arc<AtomicUsize>,
}

impl Provider {
    async fn new() -> Self {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let (own, counter) = (issuer.clone(), Arc::clone(&asked));
        let document = json!({
            "issuer": own, "authorization_endpoint": format!("{own}/auth"), "token_endpoint": format!("{own}/token"),
        });
        let token = move || {
            counter.fetch_add(1, Ordering::Relaxed);
            async { StatusCode::BAD_REQUEST }
        };
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(async || Json(document)))
            .route("/token", post(token));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { issuer, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn state(&self, flags: &[&str]) -> Arc<ServerState> {
        let state = ServerState::for_tests(&ServerArgs::for_tests(flags), &Metrics::new("server"));
        let oidc = Oidc::for_tests(self.issuer.clone(), Duration::from_secs(10));
        Arc::new(state.signing_in_at(Some(oidc)))
    }
}

/// Someone who has begun to sign in: what the provider sends them back with, and their cookie.
async fn has_begun(state: &ServerState) -> (String, String) {
    let until = state.clients.clock().now().as_second() + 600;
    let begun = Begun::new("", until).unwrap();
    let cookie = begun::sealed(&begun, &state.sessions).await.unwrap();
    let cookie = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
    (format!("/ui/sign-in/callback?code=x&state={}", begun.state), cookie)
}

#[tokio::test]
async fn an_address_makes_the_server_ask_the_identity_provider_only_so_often() {
    let provider = Provider::new().await;
    let state = provider.state(&["--rate-burst", "5", "--rate-per-address", "1"]);
    let app = router(Arc::clone(&state));
    let (callback, cookie) = has_begun(&state).await;
    let mut statuses = Vec::new();
    for _ in 0..15 {
        let answer = send(&app, Request::get(&callback).header("cookie", &cookie), "").await;
        statuses.push(answer.status().as_u16());
    }
    assert!(statuses.contains(&503) && statuses.contains(&429), "{statuses:?}");
    assert!((5..=8).contains(&provider.asked()), "asked {} times: {statuses:?}", provider.asked());
    let begins = send(&app, Request::get("/ui/sign-in/provider"), "").await;
    assert_eq!(begins.status(), StatusCode::TOO_MANY_REQUESTS, "the same budget");
    assert!(text(begins).await.contains("too many requests from your address"));
}

#[tokio::test]
async fn a_sign_in_at_the_provider_is_tried_once_whatever_comes_of_it() {
    let provider = Provider::new().await;
    let state = provider.state(&[]);
    let app = router(Arc::clone(&state));
    let (callback, cookie) = has_begun(&state).await;
    for (path, cookie, status) in [
        (callback.as_str(), cookie.as_str(), 503),
        (callback.as_str(), "", 400),
        ("/ui/sign-in/callback?code=x&state=another", cookie.as_str(), 400),
        (&callback.replace("code=x", "error=access_denied"), cookie.as_str(), 403),
    ] {
        let answer = send(&app, Request::get(path).header("cookie", cookie), "").await;
        assert_eq!(answer.status(), status, "{path}");
        let set: Vec<_> =
            answer.headers().get_all(header::SET_COOKIE).iter().map(|set| set.to_str().unwrap()).collect();
        assert_eq!(set.len(), 1, "{set:?}");
        assert!(set[0].starts_with("__Host-cc-sign-in=;") && set[0].ends_with("Max-Age=0"), "{set:?}");
    }
}

#[tokio::test]
async fn pages_for_people_who_are_not_known_come_from_a_budget_of_their_address() {
    let state = state(&["--rate-burst", "2", "--rate-per-address", "1"]);
    let app = router(Arc::clone(&state));
    let pages = ["/ui/", "/ui/sign-in", "/ui/t", "/ui/projects/payments"];
    for round in 0..2 {
        for path in pages {
            assert_ne!(send(&app, Request::get(path), "").await.status(), 429, "{round}: {path}");
        }
    }
    for path in pages {
        let answer = send(&app, Request::get(path), "").await;
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS, "{path}");
        has_the_headers_of_a_page(answer.headers());
        assert!(text(answer).await.contains("too many pages for your address"));
    }
    // A made-up bearer token makes no one known; one that the API server accepted lately does.
    let with_bearer = || Request::get("/ui/sign-in").header("authorization", "Bearer canary");
    assert_eq!(send(&app, with_bearer(), "").await.status(), StatusCode::TOO_MANY_REQUESTS);
    state.people.saw("canary", "carol", Instant::now());
    assert_eq!(send(&app, with_bearer(), "").await.status(), StatusCode::OK);
    // Nor does a page that is shown lack its styles.
    let styles = format!("/ui/static/{}", assets::STYLES.name);
    assert_eq!(send(&app, Request::get(styles), "").await.status(), StatusCode::OK);
}
