//! `web`: certcourier's web page on this machine, signed in as the person of the kubeconfig.
//!
//! A browser has no kubeconfig. So this command serves the page on a loopback port, and passes each request on to the
//! server with the person's bearer token, which the browser never sees. Who has none, but a client certificate, proves
//! who they are to the API server alone: for them the same pages are made in this process, with their own clients, and
//! only links and files come from the server. What reaches the port acts as that person, so [`gate`] decides who that is.

mod browser;
mod gate;
mod neighbour;
mod relay;
mod words;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

use self::{
    gate::Gate,
    relay::{Pages, Relay},
};
use crate::{
    plugin::{
        client::{Known, Server},
        context::Ctx,
        error::PluginError,
        print::output::print,
        values::Timeout,
    },
    randomness,
    server::of_one::{self, OfOne},
};

/// More than a browser opens.
const CONNECTIONS: usize = 128;
/// How long a connection may say nothing before each of its requests: what else there is waits.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many connections of other users are told at a time that this page is not theirs; what is more is dropped.
const OTHERS: usize = 8;
/// How long that may take.
const PATIENCE_WITH_OTHERS: Duration = Duration::from_secs(2);

const AFTER: &str = "\
The link that it prints works once, in the first browser that opens it. The page works with your rights, as long as this \
command runs: it ends with Ctrl-C, with the terminal, or when it is idle for --idle-timeout. A bearer token, a client \
certificate and --as all work.

Exit codes: 0 ended with Ctrl-C or idle · 1 error · 2 usage error.

Examples:
  kubectl certcourier web
  kubectl certcourier web --no-browser --port 8001   on a machine that you reach with ssh -L 8001:127.0.0.1:8001";

/// Open certcourier's web page, signed in as you.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub struct WebArgs {
    /// Only print the link; open no browser.
    #[arg(long)]
    no_browser: bool,
    /// The port of 127.0.0.1. Default, or 0: any that is free; on Linux then of an address of 127.0.0.0/8 that is chosen at
    /// random.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// End when no page was asked for in this time, such as 30m; 0 for never.
    #[arg(long, value_name = "DURATION", default_value = "30m")]
    idle_timeout: Timeout,
}

/// Serves the page until it is idle. Ctrl-C drops this future, and with it every connection.
pub async fn run(ctx: &Ctx, args: &WebArgs) -> Result<(), PluginError> {
    let pages = pages(ctx).await?;
    let failed = |error| {
        PluginError::new(format!("cannot listen on 127.0.0.1:{}: {error}", args.port)).next("choose another --port")
    };
    let listener = listen(args.port).await.map_err(failed)?;
    let gate = Gate::new(listener.local_addr().map_err(failed)?)?;
    let link = gate.link();
    let relay = Relay::new(ctx, pages, gate);
    ctx.interrupt_is_the_end("the page is closed");
    show(ctx, args, &link)?;
    let idle = args.idle_timeout.limit();
    tokio::select! {
        () = serve(&listener, &relay) => Ok(()),
        () = relay.idle(idle) => {
            ctx.say(&format!("the page is closed: no page was asked for in {} s (--idle-timeout)", idle.as_secs()))
        }
    }
}

/// A browser sends the cookies of a host to each of its ports, so the host is one that no one else serves anything on. Only
/// Linux has all of 127.0.0.0/8. Someone who names a port forwards it, and has 127.0.0.1 in mind.
async fn listen(port: u16) -> io::Result<TcpListener> {
    let mut random = [0; 3];
    if cfg!(target_os = "linux") && port == 0 && randomness::fill(&mut random).is_ok() {
        let [one, two, three] = random;
        let own = Ipv4Addr::new(127, one, two, three.clamp(2, 254));
        if let Ok(listener) = TcpListener::bind((own, 0)).await {
            return Ok(listener);
        }
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}

/// Prints the link, and opens it.
fn show(ctx: &Ctx, args: &WebArgs, link: &str) -> Result<(), PluginError> {
    print(&format!("{link}\n"))?;
    let how = if args.no_browser {
        "open this link in your browser; it works once"
    } else if browser::open(link) {
        "the page opens in your browser; if it does not, open the link, which works once"
    } else {
        "no browser could be started: open this link, which works once"
    };
    ctx.say(&format!("{how}. Ctrl-C closes the page"))
}

/// Takes connections, each of them as one future of this very task: none outlives it. Those of other users use up nothing
/// of ours.
async fn serve(listener: &TcpListener, relay: &Relay<'_>) {
    let (mut connections, mut others) = (FuturesUnordered::new(), FuturesUnordered::new());
    loop {
        tokio::select! {
            Some(()) = connections.next() => {}
            Some(_) = others.next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, peer)) if is_ours(&stream, peer) => connections.push(connection(stream, relay, true)),
                Ok((stream, _)) if others.len() < OTHERS => {
                    others.push(timeout(PATIENCE_WITH_OTHERS, connection(stream, relay, false)));
                }
                Ok(_) => {}
                // Out of file descriptors, or the caller is gone already.
                Err(error) => tracing::warn!(%error, "a connection could not be taken"),
            },
        }
    }
}

fn is_ours(stream: &TcpStream, peer: SocketAddr) -> bool {
    stream.local_addr().is_ok_and(|here| neighbour::is_ours(peer, here))
}

async fn connection(stream: TcpStream, relay: &Relay<'_>, is_ours: bool) {
    let service = service_fn(async |request| Ok::<_, std::convert::Infallible>(relay.answer(request, is_ours).await));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Who makes the pages: the server, which knows the person by their bearer token, or else this process.
async fn pages(ctx: &Ctx) -> Result<Pages, PluginError> {
    if ctx.bearer().await?.is_some() {
        return Ok(Pages::There(Box::new(Server::reach_patiently(ctx, Known::default()).await?)));
    }
    let said = Arc::default();
    let of_one = OfOne { namespace: ctx.namespace.clone(), server: Arc::clone(&said) };
    match of_one::pages(ctx.clients.clone(), of_one) {
        Ok(pages) => Ok(Pages::Here { pages, said }),
        Err(error) => Err(PluginError::new(format!("the pages cannot be made: {error}"))),
    }
}
