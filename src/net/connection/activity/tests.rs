use super::*;
use crate::api;

fn limits() -> ConnectionLimits {
    ConnectionLimits {
        header_timeout: api::Duration::from_seconds(10),
        idle_timeout: api::Duration::from_seconds(60),
        request_timeout: api::Duration::from_seconds(90),
        answer_timeout: api::Duration::from_seconds(5),
        ..ConnectionLimits::of_probes()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Why a connection is overdue so many seconds after it was accepted.
fn overdue(connection: &Connection, accepted: Instant, after_seconds: u64) -> Option<Why> {
    connection.overdue(&limits(), accepted + seconds(after_seconds))
}

#[test]
fn a_connection_without_a_request_is_given_the_time_of_a_header() {
    let accepted = Instant::now();
    let connection = Connection::new(accepted, false);
    assert_eq!(overdue(&connection, accepted, 10), None);
    assert_eq!(overdue(&connection, accepted, 11), Some(Why::overdue));
}

#[test]
fn between_requests_a_connection_may_idle_longer_but_not_dawdle_over_a_header() {
    let accepted = Instant::now();
    let connection = Connection::new(accepted, false);
    connection.begin(Version::HTTP_11, accepted, None);
    assert_eq!(overdue(&connection, accepted, 59), None);
    connection.bytes_arrived(accepted + seconds(20));
    connection.bytes_arrived(accepted + seconds(29));
    assert_eq!(overdue(&connection, accepted, 30), None);
    assert_eq!(overdue(&connection, accepted, 31), Some(Why::overdue));
}

#[test]
fn a_ping_on_http2_is_not_the_beginning_of_a_header() {
    let accepted = Instant::now();
    let connection = Connection::new(accepted, false);
    connection.begin(Version::HTTP_2, accepted, None);
    connection.bytes_arrived(accepted + seconds(1));
    assert_eq!(overdue(&connection, accepted, 50), None);
}

#[test]
fn a_request_that_takes_us_long_is_given_its_time_and_no_more() {
    let accepted = Instant::now();
    let connection = Connection::new(accepted, false);
    let first = connection.begin(Version::HTTP_2, accepted, None);
    let second = connection.begin(Version::HTTP_2, accepted + seconds(80), None);
    assert_eq!(connection.gives_way_since(accepted + seconds(85)), None, "it is our turn");
    assert_eq!(overdue(&connection, accepted, 91), Some(Why::overdue));
    drop(first);
    assert_eq!(overdue(&connection, accepted, 91), None, "the oldest one counts");
    drop(second);
    assert!(connection.gives_way_since(accepted + seconds(91)).is_some());
}

#[test]
fn an_answer_that_is_never_taken_ends_the_connection() {
    let accepted = Instant::now();
    let connection = Connection::new(accepted, false);
    let stuck = connection.begin(Version::HTTP_2, accepted, None);
    stuck.answered(false, accepted);
    // Other requests on the same connection do not make it any better.
    let _busy = connection.begin(Version::HTTP_2, accepted + seconds(4), None);
    assert_eq!(connection.gives_way_since(accepted + Duration::from_millis(999)), None);
    assert_eq!(connection.gives_way_since(accepted + seconds(1)), Some(accepted));
    assert_eq!(overdue(&connection, accepted, 5), None);
    assert_eq!(overdue(&connection, accepted, 6), Some(Why::stalled));
    stuck.moved(accepted + seconds(6));
    assert_eq!(overdue(&connection, accepted, 11), None, "it moved");
    assert_eq!(connection.gives_way_since(accepted + Duration::from_millis(6500)), None);
}

#[test]
fn a_body_that_does_not_come_makes_its_connection_give_way() {
    let accepted = Instant::now();
    let connection = Connection::new(accepted, false);
    let asked = connection.begin(Version::HTTP_11, accepted, None);
    asked.turn().awaits_body(true, accepted + seconds(1));
    asked.turn().awaits_body(true, accepted + seconds(2));
    assert_eq!(connection.gives_way_since(accepted + seconds(3)), Some(accepted + seconds(1)));
    asked.turn().awaits_body(false, accepted + seconds(3));
    assert_eq!(connection.gives_way_since(accepted + seconds(9)), None, "it came");
}

#[test]
fn a_body_that_comes_a_byte_at_a_time_has_no_more_patience_than_one_that_does_not_come() {
    let accepted = Instant::now();
    let at = |milliseconds: u64| accepted + Duration::from_millis(milliseconds);
    let connection = Connection::new(accepted, false);
    let asked = connection.begin(Version::HTTP_11, accepted, None);
    for byte in 0..2 {
        asked.turn().awaits_body(true, at(700 * byte));
        assert_eq!(connection.gives_way_since(at(700 * byte + 299)), None, "byte {byte}");
        asked.turn().awaits_body(false, at(700 * byte + 700));
    }
    asked.turn().awaits_body(true, at(1400));
    assert_eq!(connection.gives_way_since(at(1400)), Some(accepted));
    asked.answered(false, at(1500));
    assert_eq!(connection.gives_way_since(at(2400)), None, "the answer has its own second");
}

#[test]
fn an_answer_with_limits_of_its_own_is_left_to_them() {
    let accepted = Instant::now();
    let connection = Connection::new(accepted, false);
    let file = connection.begin(Version::HTTP_2, accepted, None);
    file.answered(true, accepted);
    assert_eq!(connection.gives_way_since(accepted + seconds(30)), None);
    assert_eq!(overdue(&connection, accepted, 90), None);
    assert_eq!(overdue(&connection, accepted, 91), Some(Why::overdue));
}

#[test]
fn one_client_of_a_proxy_does_not_end_its_connection_for_the_others() {
    let accepted = Instant::now();
    let connection = Connection::new(accepted, true);
    let stuck = connection.begin(Version::HTTP_2, accepted, None);
    stuck.answered(false, accepted);
    let busy = connection.begin(Version::HTTP_2, accepted + seconds(4), None);
    assert_eq!((connection.gives_way_since(accepted + seconds(9)), overdue(&connection, accepted, 60)), (None, None));
    drop(busy);
    assert_eq!(connection.gives_way_since(accepted + seconds(9)), Some(accepted));
    connection.give_up_answer();
    assert!(!connection.end.is_cancelled());
}
