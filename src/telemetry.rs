//! Logs: one line per fact on stderr, as text or as JSON, filtered as `RUST_LOG` is.
//!
//! Tokens, keys, passphrases and Authorization headers are never handed to `tracing` in the first place; besides that
//! `--log trace` stays closed for the few targets whose trace output could hold bodies or headers. Called once, by each
//! of the programs.

use std::io;

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter,
    filter::{LevelFilter, ParseError},
    fmt::MakeWriter,
    layer::SubscriberExt as _,
    util::{SubscriberInitExt as _, TryInitError},
};

/// What log lines look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Flags about logs, the same for every program.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Logs")]
pub struct LogArgs {
    /// What log lines on stderr look like: text for people, json for collectors.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Which lines are written: a level (error, warn, info, debug, trace), or one per module, such as `info,kube=debug`.
    #[arg(long = "log", value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    pub log_filter: String,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not one.
    #[error("--log `{filter}` is not a filter: write a level such as info, or `info,kube=debug`")]
    Filter {
        /// What was given.
        filter: String,
        /// Where it is wrong.
        #[source]
        source: ParseError,
    },
    /// Someone else has set up logging in this process.
    #[error("set up logging")]
    Started(#[source] TryInitError),
}

/// Targets that may print bodies or headers at their finest level, and the level that is safe.
const CAPPED: [&str; 4] = ["h2=debug", "hyper=debug", "rustls=debug", "kube_client=debug"];

/// Starts logging to stderr for the whole process.
///
/// # Errors
/// [`LogError`] when the filter is wrong, or logging was started before.
pub fn start(args: &LogArgs) -> Result<(), LogError> {
    match args.log_format {
        LogFormat::Text => text(&args.log_filter, io::stderr)?.try_init(),
        LogFormat::Json => json(&args.log_filter, io::stderr)?.try_init(),
    }
    .map_err(LogError::Started)
}

/// Starts logging to stderr for a program that a person runs: messages and fields, without time, level and module.
///
/// # Errors
/// [`LogError`] when the filter is wrong, or logging was started before.
pub fn start_for_people(filter: &'static str) -> Result<(), LogError> {
    let refuse = |source| LogError::Filter { filter: filter.to_owned(), source };
    // Not `parse`: its caps would let modules speak that this filter silences.
    let wanted = EnvFilter::builder().parse(filter).map_err(refuse)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false).without_time();
    let lines = lines.with_level(false).with_target(false);
    tracing_subscriber::registry().with(wanted).with(lines).try_init().map_err(LogError::Started)
}

fn text<W>(filter: &str, writer: W) -> Result<impl Subscriber + Send + Sync + use<W>, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    Ok(tracing_subscriber::registry().with(parse(filter)?).with(lines))
}

fn json<W>(filter: &str, writer: W) -> Result<impl Subscriber + Send + Sync + use<W>, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // With the list of spans, because the request's id is in the outermost.
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_span_list(true).with_writer(writer);
    Ok(tracing_subscriber::registry().with(parse(filter)?).with(lines))
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    let refuse = |source| LogError::Filter { filter: filter.to_owned(), source };
    let asked = EnvFilter::builder().parse(filter).map_err(refuse)?;
    let finest = asked.max_level_hint().unwrap_or(LevelFilter::TRACE);
    if finest < LevelFilter::TRACE {
        return Ok(asked);
    }
    CAPPED.into_iter().try_fold(asked, |all, cap| Ok(all.add_directive(cap.parse().map_err(refuse)?)))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    #[test]
    fn json_lines_carry_message_and_fields_at_the_top() {
        let lines = Lines::default();
        let written = lines.clone();
        tracing::subscriber::with_default(json("info", move || written.clone()).unwrap(), || {
            tracing::info!(request.name = "api-key", "token minted");
            tracing::debug!("not asked for");
        });
        let line: serde_json::Value = serde_json::from_str(&lines.text()).unwrap();
        assert_eq!(line["message"], "token minted");
        assert_eq!(line["request.name"], "api-key");
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn lines_of_a_request_carry_its_id_as_text_and_as_json() {
        let write = || {
            let span = tracing::info_span!("request", request_id = "01a20bed");
            span.in_scope(|| tracing::debug_span!("inner").in_scope(|| tracing::info!("deep inside")));
        };
        let lines = Lines::default();
        let written = lines.clone();
        tracing::subscriber::with_default(json("debug", move || written.clone()).unwrap(), write);
        let line: serde_json::Value = serde_json::from_str(&lines.text()).unwrap();
        assert_eq!(line["spans"][0]["request_id"], "01a20bed", "{line}");
        let lines = Lines::default();
        let written = lines.clone();
        tracing::subscriber::with_default(text("debug", move || written.clone()).unwrap(), write);
        assert!(lines.text().contains("request_id=\"01a20bed\""), "{}", lines.text());
    }

    #[test]
    fn a_filter_for_everything_stays_closed_for_targets_that_print_headers() {
        let lines = Lines::default();
        let written = lines.clone();
        tracing::subscriber::with_default(text("trace", move || written.clone()).unwrap(), || {
            tracing::trace!(target: "h2::codec", "a header frame");
            tracing::trace!(target: "certcourier::controller", "a step");
        });
        assert!(lines.text().contains("a step"));
        assert!(!lines.text().contains("a header frame"), "{}", lines.text());
    }

    #[test]
    fn a_wrong_filter_is_refused_with_an_example() {
        let error = parse("kube=loud").unwrap_err();
        assert!(error.to_string().contains("info,kube=debug"), "{error}");
    }
}
