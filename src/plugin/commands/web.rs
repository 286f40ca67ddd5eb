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
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

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
    server::of_one::{self, OfOne},
};

/// More than a browser opens; whatever else asks on this machine waits.
const CONNECTIONS: usize = 128;

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
    /// The port of 127.0.0.1. Default, or 0: any that is free.
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
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await.map_err(failed)?;
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

/// Takes connections, each of them as one future of this very task: none outlives it.
async fn serve(listener: &TcpListener, relay: &Relay<'_>) {
    let mut connections = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(()) = connections.next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, peer)) => connections.push(connection(stream, peer, relay)),
                // Out of file descriptors, or the caller is gone already.
                Err(error) => tracing::warn!(%error, "a connection could not be taken"),
            },
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, relay: &Relay<'_>) {
    let is_ours = match (stream.local_addr(), peer.ip()) {
        (Ok(here), IpAddr::V4(_)) => !neighbour::is_of_another_user(peer, here),
        _ => false,
    };
    let service = service_fn(async |request| Ok::<_, std::convert::Infallible>(relay.answer(request, is_ours).await));
    let served = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
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
