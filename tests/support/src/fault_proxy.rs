//! A proxy between the operator and the real API server, which loses, delays, refuses and keeps back what it is told to.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    http::{Method, Request, Response, StatusCode, header},
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use test_cluster::ControlPlane;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What happens to a call instead of what should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Refused with this status; the API server never hears of it.
    Refuse(u16),
    /// The connection is closed; the API server never hears of it.
    Cut,
    /// Done, and answered with this status all the same.
    DoneButAnswer(u16),
    /// Done, and the connection is closed instead of an answer.
    DoneThenCut,
    /// Done, and the answer is kept back until [`FaultProxy::let_go`].
    DoneAndKept,
    /// Done after a pause.
    Late(Duration),
}

type Chooser = Arc<dyn Fn(&Method, &str) -> Option<Fault> + Send + Sync>;

/// The way to an API server; clones are the same one.
#[derive(Clone)]
pub struct FaultProxy {
    inner: Arc<Inner>,
    _stop: Arc<DropGuard>,
}

struct Inner {
    upstream: String,
    http: reqwest::Client,
    address: SocketAddr,
    chooser: Mutex<Chooser>,
    struck: AtomicUsize,
    keeps: watch::Sender<bool>,
}

/// A connection that was closed on purpose, or whose API server is gone.
#[derive(Debug, thiserror::Error)]
#[error("cut")]
struct CutOff;

impl FaultProxy {
    /// In front of this control plane, without any fault yet.
    pub async fn before(plane: &ControlPlane) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let root = reqwest::Certificate::from_pem(plane.ca_pem().as_bytes()).unwrap();
        let inner = Arc::new(Inner {
            upstream: plane.url().to_owned(),
            http: reqwest::Client::builder().no_proxy().tls_certs_only([root]).build().unwrap(),
            address: listener.local_addr().unwrap(),
            chooser: Mutex::new(Arc::new(|_, _| None)),
            struck: AtomicUsize::new(0),
            keeps: watch::Sender::new(true),
        });
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(serve(listener, Arc::clone(&inner), stop.clone())));
        Self { inner, _stop: Arc::new(stop.drop_guard()) }
    }

    /// A copy of a kubeconfig that leads here.
    pub fn kubeconfig(&self, of: &Path, directory: &Path) -> PathBuf {
        let text = std::fs::read_to_string(of).unwrap();
        assert!(text.contains(&self.inner.upstream));
        let copy =
            directory.join(format!("through-{}-{}", self.inner.address.port(), of.file_name().unwrap().display()));
        std::fs::write(&copy, text.replace(&self.inner.upstream, &format!("http://{}", self.inner.address))).unwrap();
        copy
    }

    /// From now on this says what goes wrong.
    pub fn fail(&self, chooser: impl Fn(&Method, &str) -> Option<Fault> + Send + Sync + 'static) {
        *self.inner.chooser.lock().unwrap() = Arc::new(chooser);
        self.inner.struck.store(0, Ordering::SeqCst);
        self.inner.keeps.send_replace(true);
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.fail(|_, _| None);
    }

    /// How many calls were struck since the last [`FaultProxy::fail`]; one that is done first counts when it is done.
    pub fn struck(&self) -> usize {
        self.inner.struck.load(Ordering::SeqCst)
    }

    /// Gives the answers that were kept back.
    pub fn let_go(&self) {
        self.inner.keeps.send_replace(false);
    }
}

async fn serve(listener: TcpListener, inner: Arc<Inner>, stop: CancellationToken) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let inner = Arc::clone(&inner);
        let service = service_fn(move |request| {
            // A caller that hangs up does not undo its call.
            let call = tokio::spawn(pass(Arc::clone(&inner), request));
            async { call.await.unwrap() }
        });
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(stop.clone().run_until_cancelled_owned(connection));
    }
}

async fn pass(inner: Arc<Inner>, request: Request<Incoming>) -> Result<Response<Body>, CutOff> {
    let chooser = inner.chooser.lock().unwrap().clone();
    let fault = chooser(request.method(), request.uri().path());
    let strike = || inner.struck.fetch_add(1, Ordering::SeqCst);
    match fault {
        Some(Fault::Refuse(code)) => {
            strike();
            return Ok(status(code));
        }
        Some(Fault::Cut) => {
            strike();
            return Err(CutOff);
        }
        Some(Fault::Late(pause)) => tokio::time::sleep(pause).await,
        _ => {}
    }
    let answer = forward(&inner, request).await?;
    if fault.is_some() {
        strike();
    }
    match fault {
        Some(Fault::DoneButAnswer(code)) => Ok(status(code)),
        Some(Fault::DoneThenCut) => Err(CutOff),
        Some(Fault::DoneAndKept) => {
            let _ = inner.keeps.subscribe().wait_for(|keeps| !keeps).await;
            Ok(answer)
        }
        _ => Ok(answer),
    }
}

async fn forward(inner: &Inner, request: Request<Incoming>) -> Result<Response<Body>, CutOff> {
    let (mut head, body) = request.into_parts();
    for own in [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION] {
        head.headers.remove(own);
    }
    let body = to_bytes(Body::new(body), 1 << 24).await.map_err(|_| CutOff)?;
    let url = format!("{}{}", inner.upstream, head.uri);
    let call = inner.http.request(head.method, url).headers(head.headers).body(body);
    let answer = call.send().await.map_err(|_| CutOff)?;
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        if !matches!(*name, header::TRANSFER_ENCODING | header::CONNECTION) {
            response = response.header(name, value);
        }
    }
    Ok(response.body(Body::from_stream(answer.bytes_stream())).unwrap())
}

/// A refusal as the API server writes it.
fn status(code: u16) -> Response<Body> {
    let reason = StatusCode::from_u16(code).unwrap().canonical_reason().unwrap().replace(' ', "");
    let body = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason,
        "message": format!("the proxy answers {code}")});
    let response = Response::builder().status(code).header(header::CONTENT_TYPE, "application/json");
    response.body(Body::from(body.to_string())).unwrap()
}
