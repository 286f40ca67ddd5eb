//! What went wrong on the way to another program, or with a file or a port, in plain words: the same in the plugin, in the
//! logs of both programs, and in what they write into conditions. No library's words get through, and no numbers of the
//! operating system.

use std::{
    error::Error,
    io::{self, ErrorKind},
};

use jiff::Timestamp;
use rustls::{AlertDescription, CertificateError, InvalidMessage, pki_types::UnixTime};

/// Why no answer came. Each is said of the other side: "it".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Its certificate leads to no CA that is trusted.
    #[error("its certificate is signed by a CA that this machine does not know")]
    UnknownCa,
    /// Its certificate is for other names.
    #[error("its certificate is not for {wanted}{}", names(.presented))]
    OtherName {
        /// The name that it was called by.
        wanted: String,
        /// The names that its certificate has.
        presented: Vec<String>,
    },
    /// Its certificate has expired.
    #[error("its certificate has expired{}", when(" on", *.0))]
    Expired(Option<Timestamp>),
    /// Its certificate is for later, or this machine's clock is behind.
    #[error("its certificate is not valid before{}; is the clock of this machine right?", when("", *.0))]
    NotYetValid(Option<Timestamp>),
    /// Its certificate is wrong in another way.
    #[error("its certificate cannot be verified: {0}")]
    BadCertificate(String),
    /// It wants to see a certificate of ours.
    #[error("it wants a client certificate that it knows")]
    WantsCertificate,
    /// We began TLS, and it does not speak it.
    #[error("it does not speak HTTPS, only plain HTTP")]
    NotTls,
    /// We spoke plain HTTP, and it speaks TLS.
    #[error("it speaks HTTPS")]
    SpeaksTls,
    /// The two have no version or cipher in common, or the handshake broke.
    #[error("no TLS connection came about: {0}")]
    Handshake(String),
    /// No one listens there.
    #[error("connection refused: nothing listens there")]
    Refused,
    /// Nothing came in time.
    #[error("no answer in time")]
    TimedOut,
    /// The name leads nowhere.
    #[error("its host name cannot be resolved")]
    NoSuchHost,
    /// There is no way.
    #[error("there is no route to it")]
    NoRoute,
    /// The connection ended before an answer.
    #[error("it closed the connection before it answered")]
    Closed,
    /// What came back is not HTTP.
    #[error("what it answers is not HTTP")]
    NotHttp,
    /// Something else.
    #[error("{0}")]
    Other(String),
}

fn names(presented: &[String]) -> String {
    if presented.is_empty() { String::new() } else { format!(", but for {}", presented.join(", ")) }
}

fn when(before: &str, at: Option<Timestamp>) -> String {
    at.map_or_else(String::new, |at| format!("{before} {at}"))
}

impl Trouble {
    /// What an error and its causes come to. `None` where nothing in them is about a connection.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        let mut found = None;
        while let Some(error) = next {
            next = error.source();
            // What is nearer to the wire knows better.
            found = known(error).or(found);
        }
        found
    }

    /// The same, and for what is not known the innermost cause in its own words.
    #[must_use]
    pub fn of_any(error: &(dyn Error + 'static)) -> Self {
        Self::of(error).unwrap_or_else(|| {
            let mut cause = error;
            while let Some(inner) = cause.source().filter(|inner| !inner.to_string().is_empty()) {
                cause = inner;
            }
            Self::Other(without_number(&cause.to_string()).to_owned())
        })
    }

    /// Whether the certificate of the other side is what is wrong.
    #[must_use]
    pub const fn is_of_certificate(&self) -> bool {
        matches!(
            self,
            Self::UnknownCa
                | Self::OtherName { .. }
                | Self::Expired(_)
                | Self::NotYetValid(_)
                | Self::BadCertificate(_)
        )
    }
}

/// No connection to the API server came about, or it broke.
#[derive(Debug, thiserror::Error)]
#[error("the API server at {url} cannot be reached: {trouble}")]
pub struct Unreachable {
    /// Where it should be.
    pub url: String,
    /// Why not.
    pub trouble: Trouble,
}

fn known(error: &(dyn Error + 'static)) -> Option<Trouble> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(of_tls(error));
    }
    if let Some(Unreachable { trouble, .. }) = error.downcast_ref() {
        return Some(trouble.clone());
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        // The cause of an I/O error is what it was made of, or the cause of that.
        let made_of = error.get_ref().and_then(|inner| Trouble::of(inner));
        return made_of.or_else(|| of_io(error.kind()));
    }
    if error.downcast_ref::<tokio::time::error::Elapsed>().is_some() {
        return Some(Trouble::TimedOut);
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        if error.is_timeout() {
            return Some(Trouble::TimedOut);
        }
        if error.is_parse() {
            return Some(Trouble::NotHttp);
        }
        return (error.is_incomplete_message() || error.is_closed()).then_some(Trouble::Closed);
    }
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        return error.is_timeout().then_some(Trouble::TimedOut);
    }
    // Of the connector no type is public; this is all that it says.
    (error.to_string() == "dns error").then_some(Trouble::NoSuchHost)
}

fn of_io(kind: ErrorKind) -> Option<Trouble> {
    Some(match kind {
        ErrorKind::ConnectionRefused => Trouble::Refused,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof => Trouble::Closed,
        ErrorKind::TimedOut => Trouble::TimedOut,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => Trouble::NoRoute,
        _ => return None,
    })
}

fn of_tls(error: &rustls::Error) -> Trouble {
    use rustls::Error as Tls;
    match error {
        Tls::InvalidCertificate(error) => of_certificate(error),
        Tls::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::MessageTooLarge) => Trouble::NotTls,
        Tls::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::NoCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired,
        ) => Trouble::WantsCertificate,
        Tls::AlertReceived(AlertDescription::ProtocolVersion) | Tls::PeerIncompatible(_) => {
            Trouble::Handshake("the two have no version of TLS in common".to_owned())
        }
        Tls::AlertReceived(_) => Trouble::Handshake("it ended the handshake".to_owned()),
        _ => Trouble::Handshake("what it sent is not understood".to_owned()),
    }
}

fn of_certificate(error: &CertificateError) -> Trouble {
    let at =
        |time: &UnixTime| i64::try_from(time.as_secs()).ok().and_then(|second| Timestamp::from_second(second).ok());
    match error {
        // So it is where a CA was made again under the same name: another key has signed.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Trouble::UnknownCa,
        CertificateError::NotValidForName => {
            Trouble::OtherName { wanted: "the name that it was called by".to_owned(), presented: Vec::new() }
        }
        CertificateError::NotValidForNameContext { expected, presented } => Trouble::OtherName {
            wanted: expected.to_str().into_owned(),
            presented: presented.iter().map(|name| bare(name).to_owned()).collect(),
        },
        CertificateError::Expired => Trouble::Expired(None),
        CertificateError::ExpiredContext { not_after, .. } => Trouble::Expired(at(not_after)),
        CertificateError::NotValidYet => Trouble::NotYetValid(None),
        CertificateError::NotValidYetContext { not_before, .. } => Trouble::NotYetValid(at(not_before)),
        CertificateError::Revoked => Trouble::BadCertificate("it is revoked".to_owned()),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            Trouble::BadCertificate("it is not for servers".to_owned())
        }
        CertificateError::BadEncoding => Trouble::BadCertificate("it is not well-formed".to_owned()),
        _ => Trouble::BadCertificate("it, or a certificate that it depends on, is not as it should be".to_owned()),
    }
}

/// `DnsName("x")` is how the verifier shows a name.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"')
}

/// An I/O error of a file, a folder or a port, in plain words.
#[must_use]
pub fn of_place(error: &io::Error) -> String {
    let words = match error.kind() {
        ErrorKind::NotFound => "there is no such file or folder",
        ErrorKind::PermissionDenied => "permission denied",
        ErrorKind::IsADirectory => "it is a folder",
        ErrorKind::NotADirectory => "a part of its path is not a folder",
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "there is no space left",
        ErrorKind::AddrInUse => "another program has this port already",
        ErrorKind::AddrNotAvailable => "this machine does not have this address",
        ErrorKind::InvalidData => "it is not text in UTF-8",
        kind => match Trouble::of(error).or_else(|| of_io(kind)) {
            Some(trouble) => return trouble.to_string(),
            None => return without_number(&error.to_string()).to_owned(),
        },
    };
    words.to_owned()
}

/// The standard library writes the system's number behind its words.
fn without_number(words: &str) -> &str {
    words.rsplit_once(" (os error ").map_or(words, |(before, _)| before)
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use rustls::pki_types::ServerName;

    use super::*;

    #[derive(Debug)]
    struct Around(Box<dyn Error + Send + Sync>);

    impl fmt::Display for Around {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("client error (Connect)")
        }
    }

    impl Error for Around {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self.0.as_ref())
        }
    }

    fn said(inner: impl Into<Box<dyn Error + Send + Sync>>) -> String {
        Trouble::of_any(&Around(Box::new(Around(inner.into())))).to_string()
    }

    #[test]
    fn what_a_certificate_is_wrong_in_is_said_in_plain_words() {
        let tls = |error| said(io::Error::new(ErrorKind::InvalidData, rustls::Error::InvalidCertificate(error)));
        assert_eq!(
            tls(CertificateError::UnknownIssuer),
            "its certificate is signed by a CA that this machine does not know"
        );
        assert_eq!(tls(CertificateError::BadSignature), tls(CertificateError::UnknownIssuer));
        let (time, not_after) = (UnixTime::now(), UnixTime::since_unix_epoch(std::time::Duration::from_secs(0)));
        assert_eq!(
            tls(CertificateError::ExpiredContext { time, not_after }),
            "its certificate has expired on 1970-01-01T00:00:00Z"
        );
        assert_eq!(
            tls(CertificateError::NotValidForNameContext {
                expected: ServerName::try_from("certs.example.com").unwrap(),
                presented: vec!["DnsName(\"other.example.com\")".to_owned(), "IpAddress(127.0.0.1)".to_owned()],
            }),
            "its certificate is not for certs.example.com, but for other.example.com, 127.0.0.1"
        );
        assert!(!tls(CertificateError::UnhandledCriticalExtension).contains("Critical"));
        let speaks_http = rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType);
        assert_eq!(Trouble::of(&io::Error::other(speaks_http)), Some(Trouble::NotTls));
    }

    #[test]
    fn what_the_network_does_is_said_without_the_systems_numbers() {
        for number in [111, 104, 110, 113, 101, 32, 2, 13, 98, 99, 28, 30, 20, 21, 5] {
            let error = io::Error::from_raw_os_error(number);
            assert!(error.to_string().contains("os error"));
            let (connection, place) = (said(io::Error::from_raw_os_error(number)), of_place(&error));
            assert!(!connection.contains("os error") && !place.contains("os error"), "{connection} {place}");
        }
        assert_eq!(said(io::Error::from_raw_os_error(111)), "connection refused: nothing listens there");
        assert_eq!(of_place(&io::Error::from_raw_os_error(98)), "another program has this port already");
        assert_eq!(said("dns error"), "its host name cannot be resolved");
        assert_eq!(said("something new"), "something new");
        assert_eq!(Trouble::of(&Around("a cause of another kind".into())), None);
    }
}
