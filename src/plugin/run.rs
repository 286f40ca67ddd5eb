//! From the command line to the exit code.

use std::{
    env,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use clap::Parser as _;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};

use super::{
    cli::{Cli, Command},
    commands, complete,
    context::Ctx,
    error::{Exit, PluginError},
    global::GlobalArgs,
    print::output::print,
};
use crate::telemetry::{self, LogArgs, LogFormat};
use crate::transport::of_place;

/// Runs what the command line asks for.
#[must_use]
pub fn run() -> ExitCode {
    let done = match completed() {
        Some(words) => runtime().map(|runtime| runtime.block_on(complete::complete(&words))),
        None => start(&Cli::parse()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // When standard error is closed too, the exit code alone must say it.
            let _ = io::stderr().write_all(error.report().as_bytes());
            error.exit().into()
        }
    }
}

/// The words to be completed, where that is what this program is started for.
fn completed() -> Option<Vec<String>> {
    let mut words = env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = words.next()?;
    let words: Vec<String> = words.collect();
    if Path::new(&program).file_name()? == "kubectl_complete-certcourier" {
        return Some(words);
    }
    match words.split_first() {
        Some((first, rest)) if first == "__complete" => Some(rest.to_vec()),
        _ => None,
    }
}

fn runtime() -> Result<Runtime, PluginError> {
    // reqwest brings no cryptography of its own; kube takes what is installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| PluginError::new(format!("cannot start: {}", of_place(&error))))
}

fn start(cli: &Cli) -> Result<(), PluginError> {
    log(&cli.global)?;
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        if matches!(cli.command, Command::Completion) {
            return print(complete::SCRIPT);
        }
        // It connects by itself: the current context may be the one that cannot be used.
        if let Command::Inbox(args) = &cli.command
            && args.is_elsewhere()
        {
            return tokio::select! {
                biased;
                () = interrupted() => Err(PluginError::with_exit(Exit::Interrupted, "interrupted")),
                done = commands::inbox::across(&cli.global, args) => done,
            };
        }
        let ctx = Ctx::connect(&cli.global).await?;
        tokio::select! {
            biased;
            () = interrupted() => Err(interruption(&ctx)),
            done = dispatch(&ctx, &cli.command) => done,
        }
    });
    // A prompt that is still open must not hold up the end.
    runtime.shutdown_background();
    done
}

/// One line for each command.
async fn dispatch(ctx: &Ctx, command: &Command) -> Result<(), PluginError> {
    match command {
        Command::Completion => Ok(()),
        Command::Download(args) => commands::download::run(ctx, args).await,
        Command::Request(args) => commands::request::run(ctx, args).await,
        Command::Claim(args) => commands::claim::run(ctx, args).await,
        Command::Wait(args) => commands::wait::run(ctx, args).await,
        Command::Revoke(args) => commands::revoke::run(ctx, args).await,
        Command::List(args) => commands::list::run(ctx, args).await,
        Command::Receipts(args) => commands::receipts::run(ctx, args).await,
        Command::Inbox(args) => commands::inbox::run(ctx, args).await,
        Command::Describe(args) => commands::describe::run(ctx, args).await,
        Command::Approve(args) => commands::approve::run(ctx, args).await,
        Command::Deny(args) => commands::deny::run(ctx, args).await,
        Command::Inspect(args) => commands::inspect::run(ctx, args).await,
        Command::Policy(args) => commands::policy::run(ctx, args).await,
        Command::Adopt(args) => commands::adopt::run(ctx, args).await,
        Command::Doctor(args) => commands::doctor::run(ctx, args).await,
    }
}

/// Ctrl-C, or SIGTERM. Dropping the command's future is what ends it: whatever it holds cleans up after itself.
async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn interruption(ctx: &Ctx) -> PluginError {
    match ctx.resume() {
        Some(how) => PluginError::with_exit(Exit::Interrupted, "interrupted").next(how),
        None => PluginError::with_exit(Exit::Interrupted, "interrupted; nothing was started"),
    }
}

fn log(global: &GlobalArgs) -> Result<(), PluginError> {
    let filter = match global.verbosity {
        0 => return Ok(()),
        1..=5 => "warn,certcourier=debug",
        _ => "debug",
    };
    let args = LogArgs { log_format: LogFormat::Text, log_filter: filter.to_owned() };
    telemetry::start(&args).map_err(|error| PluginError::new(format!("cannot log: {error}")))
}
