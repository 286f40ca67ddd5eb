//! Reads a request's body within bounds of size and time.

use std::{future::poll_fn, pin::pin, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody as _},
    http::{HeaderMap, header},
};
use zeroize::Zeroizing;

use super::error::{ErrorCode, ServerError};

/// Reads the whole body. It may hold a token or a passphrase, so it is wiped when dropped.
///
/// # Errors
/// [`ErrorCode::TooLarge`] beyond `max_bytes`, also when `Content-Length` alone says so; [`ErrorCode::BadRequest`] when
/// it does not arrive whole within `timeout`.
pub async fn read(
    headers: &HeaderMap,
    body: Body,
    max_bytes: usize,
    timeout: Duration,
) -> Result<Zeroizing<Vec<u8>>, ServerError> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > max_bytes)) {
        return Err(too_large(max_bytes));
    }
    tokio::time::timeout(timeout, collect(body, max_bytes)).await.unwrap_or_else(|_| {
        let seconds = timeout.as_secs_f32();
        Err(ServerError::new(
            ErrorCode::BadRequest,
            format!("the body did not arrive within {seconds} s; send it again"),
        ))
    })
}

/// The body as text.
///
/// # Errors
/// [`ErrorCode::BadRequest`] that names the encoding, which is what went wrong where it is another one than UTF-8.
pub fn text(bytes: &[u8]) -> Result<&str, ServerError> {
    let refuse = |words: String| Err(ServerError::new(ErrorCode::BadRequest, words));
    let utf16 = "the body is UTF-16: send it as UTF-8";
    match bytes {
        [0xef, 0xbb, 0xbf, ..] => {
            return refuse("the body begins with a byte order mark: send it as UTF-8 without one".to_owned());
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, 0, _, ..] | [_, 0, _, 0, ..] => return refuse(utf16.to_owned()),
        _ => {}
    }
    std::str::from_utf8(bytes).or_else(|error| {
        let place = error.valid_up_to() + 1;
        refuse(format!("the body is not UTF-8 (its byte {place} is not; Latin-1 perhaps): send it as UTF-8"))
    })
}

async fn collect(body: Body, max_bytes: usize) -> Result<Zeroizing<Vec<u8>>, ServerError> {
    // Never grown, so that no copy is left behind in freed memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(max_bytes));
    let mut body = pin!(body);
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let frame = frame.map_err(|cause| {
            ServerError::new(ErrorCode::BadRequest, "the body ended before it was complete; send it again")
                .caused_by(cause)
        })?;
        let chunk = frame.into_data().unwrap_or_else(|_| Bytes::new());
        if bytes.len() + chunk.len() > max_bytes {
            return Err(too_large(max_bytes));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn too_large(max_bytes: usize) -> ServerError {
    ServerError::new(ErrorCode::TooLarge, format!("the body is larger than {max_bytes} bytes; nothing here needs that"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use futures::stream;

    const LIMIT: usize = 16;
    const SOON: Duration = Duration::from_millis(50);

    async fn read_stream(chunks: Vec<&'static str>) -> Result<Zeroizing<Vec<u8>>, ServerError> {
        let body = Body::from_stream(stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>)));
        read(&HeaderMap::new(), body, LIMIT, SOON).await
    }

    #[test]
    fn a_body_in_another_encoding_is_refused_by_its_name() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        for (bytes, said) in [
            (b"{\"reason\":\"f\xfcr\"}".to_vec(), "not UTF-8 (its byte 13"),
            ("\u{feff}{}".into(), "byte order mark"),
            (utf16("\u{feff}{}"), "is UTF-16"),
            (utf16("{}"), "is UTF-16"),
            ("{}".encode_utf16().flat_map(u16::to_be_bytes).collect(), "is UTF-16"),
        ] {
            let refusal = text(&bytes).unwrap_err();
            assert_eq!(refusal.code(), ErrorCode::BadRequest);
            assert!(refusal.description().contains(said) && refusal.description().contains("as UTF-8"), "{refusal}");
        }
        assert_eq!(text("für".as_bytes()).unwrap(), "für");
        assert_eq!(text(b"").unwrap(), "");
    }

    #[tokio::test]
    async fn a_body_up_to_the_limit_is_read_whole() {
        assert_eq!(read_stream(vec!["12345678", "12345678"]).await.unwrap().as_slice(), b"1234567812345678");
    }

    #[tokio::test]
    async fn one_byte_more_is_refused_even_without_a_length() {
        let refusal = read_stream(vec!["12345678", "123456789"]).await.unwrap_err();
        assert_eq!(refusal.code(), ErrorCode::TooLarge);
    }

    #[tokio::test]
    async fn a_declared_length_beyond_the_limit_is_refused_before_reading() {
        let headers = HeaderMap::from_iter([(header::CONTENT_LENGTH, HeaderValue::from_static("17"))]);
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let refusal = read(&headers, never, LIMIT, Duration::from_mins(1)).await.unwrap_err();
        assert_eq!(refusal.code(), ErrorCode::TooLarge);
    }

    #[tokio::test]
    async fn a_body_that_does_not_arrive_is_given_up() {
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let refusal = read(&HeaderMap::new(), never, LIMIT, SOON).await.unwrap_err();
        assert_eq!(refusal.code(), ErrorCode::BadRequest);
        assert!(refusal.description().contains("did not arrive"), "{refusal}");
    }
}
