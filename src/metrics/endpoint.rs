//! `/healthz`, `/readyz` and `/metrics`, on a port of their own that is not for the open network.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{CONTENT_TYPE, Metrics};

/// Connections that are still open then are cut: nothing here is worth a late end of the process.
const LONGEST_GOODBYE: Duration = Duration::from_secs(1);

/// Says why the program cannot do its work now: one sentence each, none when it can.
pub type Readiness = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// What is served.
#[derive(Clone)]
pub struct Endpoint {
    /// For `/metrics`.
    pub metrics: Metrics,
    /// For `/readyz`.
    pub readiness: Readiness,
    /// What else `/readyz` says: what somebody should see to though the program does its work.
    pub remarks: Readiness,
}

impl Endpoint {
    /// The three routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(async || "ok\n"))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(self)
    }
}

/// Serves until cancelled.
///
/// # Errors
/// When the port cannot be bound.
pub async fn serve(address: SocketAddr, endpoint: Endpoint, cancelled: CancellationToken) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "metrics and probes are served");
    let goodbye = cancelled.clone();
    let serving = axum::serve(listener, endpoint.router()).with_graceful_shutdown(goodbye.cancelled_owned());
    tokio::select! {
        ended = serving.into_future() => ended,
        () = async { cancelled.cancelled().await; tokio::time::sleep(LONGEST_GOODBYE).await } => Ok(()),
    }
}

async fn readyz(State(endpoint): State<Endpoint>) -> Response {
    let missing = (endpoint.readiness)();
    if missing.is_empty() {
        let remarks = (endpoint.remarks)().into_iter().map(|remark| format!("but {remark}\n"));
        return ("ready\n".to_owned() + &remarks.collect::<String>()).into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, missing.join("\n") + "\n").into_response()
}

async fn metrics(State(endpoint): State<Endpoint>) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], endpoint.metrics.text()).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use tower::ServiceExt as _;

    use super::*;

    async fn get_text(router: Router, path: &str) -> (StatusCode, String) {
        let response = router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readyz_says_what_is_missing_and_healthz_does_not_care() {
        let missing = Arc::new(Mutex::new(vec!["the caches are not filled".to_owned(), "no leader".to_owned()]));
        let asked = Arc::clone(&missing);
        let readiness: Readiness = Arc::new(move || asked.lock().unwrap().clone());
        let remarks: Readiness = Arc::new(|| vec!["somebody should look".to_owned()]);
        let router = Endpoint { metrics: Metrics::new("controller"), readiness, remarks }.router();
        assert_eq!(
            get_text(router.clone(), "/readyz").await,
            (StatusCode::SERVICE_UNAVAILABLE, "the caches are not filled\nno leader\n".to_owned())
        );
        assert_eq!(get_text(router.clone(), "/healthz").await, (StatusCode::OK, "ok\n".to_owned()));
        missing.lock().unwrap().clear();
        assert_eq!(
            get_text(router.clone(), "/readyz").await,
            (StatusCode::OK, "ready\nbut somebody should look\n".to_owned())
        );
        assert!(get_text(router, "/metrics").await.1.contains("certcourier_build_info"));
    }
}
