use std::{io::Write, sync::Mutex};

use serde_json::Value;

use super::*;
use crate::api::DownloadRequest;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

const CALL: call::Call<'_> =
    call::Call { actor: "alice", address: "203.0.113.7", request_id: "01a20bed-8c5a-75da-8281-e71285d0549f" };

fn at(seconds: i64) -> Timestamp {
    "2026-11-22T12:00:00Z".parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_secs(seconds)
}

/// A request for a certificate, without a key.
fn certificate_request() -> DownloadRequest {
    serde_json::from_value(serde_json::json!({
        "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest",
        "metadata": {"name": "api-cert-9bqmz", "namespace": "payments", "uid": "3f0c8f0e-6a0e-4c55-9a43-6a1c2f1a9c11"},
        "spec": {"certificateRef": {"name": "api"}, "format": "cert", "requestedBy": {"username": "alice"}},
    }))
    .unwrap()
}

#[tokio::test]
async fn what_strangers_can_cause_is_told_once_a_minute_and_everything_else_each_time() {
    let written = Written::default();
    let counters = Counters::default();
    let lines = Lines::start(written.clone(), 100, counters.clone());
    let audit = Audit::of(Some(lines), None, false, Source::default(), counters);
    let request = certificate_request();
    let replay = |address, seconds| {
        let presented = delivery::Presented { address, request_id: "x" };
        audit.tell_once(&delivery::refused(&request, ("token_used", "used"), true, presented, at(seconds)))
    };
    assert_eq!(
        [replay("a", 0), replay("a", 59), replay("b", 59), replay("a", 60), replay("a", 0)],
        [true, false, true, true, false]
    );
    for _ in 0..2 {
        audit.tell(&call::called(CALL, call::Action::Deny, &request, None, at(0)));
    }
    audit.end(Duration::from_secs(5)).await;
    let lines = written.lines();
    let of = |kind: Kind| lines.iter().filter(|line| line["type"] == kind.name()).count();
    assert_eq!((of(Kind::TokenReused), of(Kind::ApiCalled)), (3, 2));
    let ids: std::collections::BTreeSet<String> = lines.iter().map(|line| line["id"].to_string()).collect();
    assert_eq!(ids.len(), lines.len(), "each line has an id of its own");
}

#[tokio::test]
async fn a_reader_that_is_stuck_holds_nobody_up_and_what_it_misses_is_counted() {
    struct Stuck(std::sync::mpsc::Receiver<()>);
    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (release, stuck) = std::sync::mpsc::channel();
    let metrics = Metrics::new("server");
    let counters = Counters::registered(&metrics);
    let lines = Lines::start(Stuck(stuck), 2, counters.clone());
    let audit = Audit::of(Some(lines), None, false, Source::default(), counters);
    for _ in 0..10 {
        audit.begin("server", "a", at(0));
    }
    let text = metrics.text();
    let dropped = |text: &str| -> u64 {
        let series = "certcourier_audit_dropped_total{outlet=\"stdout\",reason=\"queue_full\"} ";
        text.lines().find_map(|line| line.strip_prefix(series)).map_or(0, |value| value.parse().unwrap())
    };
    // One may be in the writer's hands.
    assert!((7..=8).contains(&dropped(&text)), "{text}");
    assert!(text.contains("certcourier_audit_events_total{type=\"audit.started\"} 10"), "{text}");
    drop(release);
    audit.end(Duration::from_secs(5)).await;
    let text = metrics.text();
    assert!(text.contains("certcourier_audit_queue_length{outlet=\"stdout\"} 0"), "{text}");
}
