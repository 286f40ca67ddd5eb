use axum::http::{HeaderValue, header};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use sha2::{Digest as _, Sha256};

use super::{
    seal::{Key, Ring},
    *,
};
use crate::cluster::client::{ClientArgs, Clients, Role};

fn clients() -> Clients {
    Clients::new(kube::Config::new("http://127.0.0.1:1".parse().unwrap()), &ClientArgs::default(), Role::Server)
        .unwrap()
}

fn key(byte: u8) -> Key {
    Key::new(&[byte; 32]).unwrap()
}

fn keys(current: u8, previous: Option<u8>) -> Keys {
    Keys::with(clients(), Ring { current: key(current), previous: previous.map(key) })
}

fn now() -> Timestamp {
    "2026-11-22T18:00:00Z".parse().unwrap()
}

fn jwt(groups: usize, exp: i64) -> String {
    let groups: Vec<String> =
        (0..groups).map(|number| format!("{:08x}-team-{number}", number * 2_654_435_761)).collect();
    let payload = serde_json::json!({"iss": "https://id.example.com", "sub": "carol", "exp": exp, "groups": groups});
    let encode = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let signature = Base64UrlUnpadded::encode_string(&[0x5a; 256]);
    format!("{}.{}.{signature}", encode(r#"{"alg":"RS256","kid":"1"}"#), encode(&payload.to_string()))
}

fn begin(token: &str) -> Session {
    Session::begin(Redacted::new(token.to_owned()), "carol".to_owned(), now()).unwrap()
}

fn request(values: &[String]) -> HeaderMap {
    let set = setting(values);
    let pairs: Vec<&str> = set.iter().map(|set| set.to_str().unwrap().split(';').next().unwrap()).collect();
    let pairs: Vec<&str> = pairs.into_iter().filter(|pair| !pair.ends_with('=')).collect();
    HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(&pairs.join("; ")).unwrap())])
}

const ROOM: u32 = 16 * 1024;

#[tokio::test]
async fn a_session_comes_back_from_its_cookies() {
    let keys = keys(1, None);
    for token in ["opaque-token", "a.b.c", "a.b", "..", &jwt(3, now().as_second() + 600)] {
        let session = begin(token);
        let found = Session::of(&request(&session.sealed(&keys, ROOM).await.unwrap()), &keys, now()).await.unwrap();
        let found = found.unwrap();
        assert_eq!((found.bearer.expose().as_str(), found.who.as_str()), (token, "carol"));
        assert_eq!((&found.id, found.ends), (&session.id, session.ends));
        assert!(token == ".." || !format!("{found:?}").contains(token), "{found:?}");
    }
}

#[tokio::test]
async fn a_session_ends_with_its_token_and_after_twelve_hours() {
    let keys = keys(1, None);
    for (token, seconds) in
        [(jwt(1, now().as_second() + 600), 600), (jwt(1, i64::MAX), 43_200), ("opaque".into(), 43_200)]
    {
        let session = begin(&token);
        assert_eq!(session.ends.as_second() - now().as_second(), seconds);
        let headers = request(&session.sealed(&keys, ROOM).await.unwrap());
        let before = session.ends - jiff::SignedDuration::from_secs(1);
        assert!(Session::of(&headers, &keys, before).await.unwrap().is_some());
        assert!(Session::of(&headers, &keys, session.ends).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_session_that_was_changed_or_sealed_by_others_is_none() {
    let ours = keys(1, None);
    let values = begin("token").sealed(&ours, ROOM).await.unwrap();
    let sealed = Base64UrlUnpadded::decode_vec(&values.concat()).unwrap();
    for place in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[place] ^= 1;
        let headers = request(&[Base64UrlUnpadded::encode_string(&changed)]);
        assert!(Session::of(&headers, &ours, now()).await.unwrap_or(None).is_none(), "byte {place}");
    }
    for length in [0, 1, 4, 5, 16, 17, sealed.len() - 1] {
        let headers = request(&[Base64UrlUnpadded::encode_string(&sealed[..length])]);
        assert!(Session::of(&headers, &ours, now()).await.unwrap_or(None).is_none(), "{length} bytes");
    }
    assert!(Session::of(&HeaderMap::new(), &ours, now()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_session_outlives_one_rotation_of_the_key_and_not_two() {
    let headers = request(&begin("token").sealed(&keys(1, None), ROOM).await.unwrap());
    assert!(Session::of(&headers, &keys(2, Some(1)), now()).await.unwrap().is_some());
    // Keys that do not know it are read again, which here cannot be.
    assert!(Session::of(&headers, &keys(3, Some(2)), now()).await.unwrap_or(None).is_none());
}

#[tokio::test]
async fn a_token_with_three_hundred_groups_fits_and_a_larger_one_is_refused() {
    let keys = keys(1, None);
    let large = jwt(300, now().as_second() + 600);
    assert!(large.len() > 8000, "{}", large.len());
    let values = begin(&large).sealed(&keys, ROOM).await.unwrap();
    assert!(values.iter().all(|value| value.len() <= 4000), "a browser keeps 4096 bytes of a cookie");
    let found = Session::of(&request(&values), &keys, now()).await.unwrap().unwrap();
    assert_eq!(found.bearer.expose(), &large);
    let random: String = (0..500_u32).map(|n| hex::encode(&Sha256::digest(n.to_be_bytes()))).collect();
    assert!(matches!(begin(&random).sealed(&keys, 64 * 1024).await, Err(SessionError::TooLarge)));
    assert!(
        matches!(begin(&large).sealed(&keys, 4 * 1024).await, Err(SessionError::TooLarge)),
        "nor what we do not read"
    );
}

#[test]
fn cookies_are_for_this_host_alone_and_no_script_reads_them() {
    let headers = [setting(&["value".to_owned()]), clearing()].concat();
    assert_eq!(headers.len(), 8);
    for header in headers {
        let text = header.to_str().unwrap();
        assert!(text.starts_with("__Host-cc"), "{text}");
        for attribute in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
            assert!(text.contains(attribute), "{text}");
        }
        assert_eq!(text.contains("Max-Age=0"), !text.starts_with("__Host-cc0=value"), "{text}");
    }
}

#[tokio::test]
async fn a_form_is_bound_to_its_session_and_known_after_a_rotation() {
    let (before, after, others) = (keys(1, None), keys(2, Some(1)), keys(9, None));
    let mark = before.mark("session-1").await;
    assert!(before.is_marked(&mark, "session-1").await && after.is_marked(&mark, "session-1").await);
    assert!(!before.is_marked(&mark, "session-2").await && !others.is_marked(&mark, "session-1").await);
    for wrong in ["", "x", "AAAA", &mark[1..]] {
        assert!(!before.is_marked(wrong, "session-1").await, "{wrong}");
    }
}

#[test]
fn forms_of_a_renewed_bearer_token_stay_valid() {
    let holder = |exp| Keys::holder(&Redacted::new(jwt(2, exp)));
    assert_eq!(holder(1), holder(2));
    assert_ne!(holder(1), Keys::holder(&Redacted::new("opaque".to_owned())));
}

#[tokio::test]
async fn a_neighbours_cookie_that_is_not_ascii_signs_no_one_out() {
    let keys = keys(1, None);
    let session = request(&begin("token").sealed(&keys, ROOM).await.unwrap());
    let begun = crate::server::oidc::Begun::new("projects/payments", now().as_second() + 600).unwrap();
    let sign_in = begun::sealed(&begun, &keys).await.unwrap();
    let sign_in = sign_in.to_str().unwrap().split(';').next().unwrap().to_owned();
    for neighbour in [b"x=\xe9; ".as_slice(), b"\xff\xfe=1;", "name=caf\u{e9}; ".as_bytes()] {
        let with = |own: &[u8]| {
            let line = HeaderValue::from_bytes(&[neighbour, own].concat()).unwrap();
            HeaderMap::from_iter([(header::COOKIE, line)])
        };
        let headers = with(session[header::COOKIE].as_bytes());
        assert!(is_there(&headers));
        assert_eq!(Session::of(&headers, &keys, now()).await.unwrap().unwrap().who, "carol");
        let found = begun::of(&with(sign_in.as_bytes()), &keys, now()).await.unwrap().unwrap();
        assert_eq!(found.state, begun.state);
    }
    let other = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static("x=__Host-cc0=1"))]);
    assert!(!is_there(&other), "the name of a cookie, and not a part of another's value");
}
