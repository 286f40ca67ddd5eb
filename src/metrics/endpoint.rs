//! `/healthz`, `/readyz`, `/startupz` and `/metrics`, on a port of their own that is not for the open network.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Extension, Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio_util::sync::CancellationToken;

use super::{CONTENT_TYPE, Metrics};
use crate::net::{limits::ConnectionLimits, listener};

/// How long the text of the metrics is good. Making it counts all that there is, and anyone who reaches the port may
/// ask.
const FRESH: Duration = Duration::from_millis(200);

/// How long `/startupz` waits for a program that has just started, and how often it looks. Less than the time that a
/// request of this port may take.
const START: Duration = Duration::from_secs(8);
const LOOK: Duration = Duration::from_millis(50);

/// Says why the program cannot do its work now: one sentence each, none when it can.
pub type Readiness = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// What is served.
#[derive(Clone)]
pub struct Endpoint {
    /// For `/metrics`.
    pub metrics: Metrics,
    /// For `/readyz`.
    pub readiness: Readiness,
    /// What else `/readyz` says: what someone should see to though the program does its work.
    pub remarks: Readiness,
}

impl Endpoint {
    /// The four routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(async || "ok\n"))
            .route("/readyz", get(readyz))
            .route("/startupz", get(startupz))
            .route("/metrics", get(metrics))
            .layer(Extension(Text::default()))
            .with_state(self)
    }
}

/// Serves until cancelled, with limits of its own: a client of this port cannot use up what the program needs.
///
/// # Errors
/// When the port cannot be bound.
pub async fn serve(address: SocketAddr, endpoint: Endpoint, cancelled: CancellationToken) -> io::Result<()> {
    let listener = listener::bind(address)?;
    tracing::info!(address = %listener.local_addr()?, "metrics and probes are served");
    listener::serve(listener, None, endpoint.router(), ConnectionLimits::of_probes(), cancelled).await;
    Ok(())
}

async fn readyz(State(endpoint): State<Endpoint>) -> Response {
    let missing = (endpoint.readiness)();
    if missing.is_empty() {
        let remarks = (endpoint.remarks)().into_iter().map(|remark| format!("but {remark}\n"));
        return ("ready\n".to_owned() + &remarks.collect::<String>()).into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, missing.join("\n") + "\n").into_response()
}

/// Answers once the program is ready, so that the kubelet need not ask again and again, which it calls a warning each
/// time. After a while it answers in any case: a program that waits for its API server is not to be restarted.
async fn startupz(State(endpoint): State<Endpoint>) -> &'static str {
    started(&endpoint.readiness, START).await
}

async fn started(readiness: &Readiness, patience: Duration) -> &'static str {
    let ready = async {
        while !readiness().is_empty() {
            tokio::time::sleep(LOOK).await;
        }
    };
    match tokio::time::timeout(patience, ready).await {
        Ok(()) => "ready\n",
        Err(_) => "started, and not ready yet\n",
    }
}

/// The metrics as they were last written, and when.
#[derive(Clone, Default)]
struct Text(Arc<Mutex<Option<(Instant, Bytes)>>>);

impl Text {
    fn of(&self, metrics: &Metrics, now: Instant) -> Bytes {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((written, text)) if now.saturating_duration_since(*written) < FRESH => text.clone(),
            _ => last.insert((now, metrics.text().into())).1.clone(),
        }
    }
}

async fn metrics(State(endpoint): State<Endpoint>, Extension(text): Extension<Text>) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text.of(&endpoint.metrics, Instant::now())).into_response()
}

#[cfg(test)]
mod tests {
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
        let remarks: Readiness = Arc::new(|| vec!["someone should look".to_owned()]);
        let router = Endpoint { metrics: Metrics::new("controller"), readiness, remarks }.router();
        assert_eq!(
            get_text(router.clone(), "/readyz").await,
            (StatusCode::SERVICE_UNAVAILABLE, "the caches are not filled\nno leader\n".to_owned())
        );
        assert_eq!(get_text(router.clone(), "/healthz").await, (StatusCode::OK, "ok\n".to_owned()));
        missing.lock().unwrap().clear();
        assert_eq!(
            get_text(router.clone(), "/readyz").await,
            (StatusCode::OK, "ready\nbut someone should look\n".to_owned())
        );
        assert!(get_text(router, "/metrics").await.1.contains("certcourier_build_info"));
    }

    #[tokio::test]
    async fn startupz_answers_once_the_program_is_ready_and_after_a_while_in_any_case() {
        let looks = Arc::new(Mutex::new(0));
        let seen = Arc::clone(&looks);
        let third: Readiness = Arc::new(move || {
            let mut looks = seen.lock().unwrap();
            *looks += 1;
            (*looks < 3).then(|| "no leader".to_owned()).into_iter().collect()
        });
        let endpoint = Endpoint { metrics: Metrics::new("server"), readiness: third, remarks: Arc::new(Vec::new) };
        assert_eq!(get_text(endpoint.router(), "/startupz").await, (StatusCode::OK, "ready\n".to_owned()));
        assert_eq!(*looks.lock().unwrap(), 3);
        let never: Readiness = Arc::new(|| vec!["no leader".to_owned()]);
        assert_eq!(started(&never, Duration::from_millis(10)).await, "started, and not ready yet\n");
    }

    #[test]
    fn however_often_the_metrics_are_asked_for_they_are_counted_a_few_times_a_second() {
        let (metrics, counted) = (Metrics::new("server"), Arc::new(Mutex::new(0)));
        let count = Arc::clone(&counted);
        metrics.observe("requests", "How many there are", move || {
            *count.lock().unwrap() += 1;
            0.0
        });
        let (text, begin) = (Text::default(), Instant::now());
        for millis in 0..400 {
            text.of(&metrics, begin + Duration::from_millis(millis));
        }
        assert_eq!(*counted.lock().unwrap(), 2);
    }
}
