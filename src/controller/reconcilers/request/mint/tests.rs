use std::collections::BTreeMap;

use super::*;
use crate::{
    api::{Format, PassphraseReference},
    controller::fixtures,
};

fn request(format: Format, passphrase: Option<PassphraseReference>) -> DownloadRequest {
    let mut request = fixtures::request("alice", 0);
    request.metadata.name = Some("api-file".to_owned());
    request.spec.format = format;
    request.spec.passphrase_secret_ref = passphrase;
    request
}

fn prepared(request: &DownloadRequest) -> Prepared {
    token::prepare(request, 2, None, &mut OperatingSystem).unwrap()
}

fn external(url: bool, ca: bool) -> External {
    External {
        url: url.then(|| "https://certs.example.com".to_owned()),
        ca: ca.then(|| "-----BEGIN CERTIFICATE-----".to_owned()),
    }
}

/// What a Secret with this token would hold.
fn stored(prepared: &Prepared, request: &DownloadRequest, external: &External) -> BTreeMap<&'static str, String> {
    values(prepared, request, external).into_iter().map(|(key, value)| (key, value.expose().to_string())).collect()
}

#[test]
fn the_secret_holds_what_the_requester_needs() {
    let passphrase = || Some(PassphraseReference { name: "p12".to_owned(), key: "passphrase".to_owned() });
    for (request, external, keys) in [
        (request(Format::Fullchain, None), external(true, true), vec!["ca.crt", "curl", "token", "url"]),
        (request(Format::Fullchain, None), external(true, false), vec!["curl", "token", "url"]),
        (request(Format::Fullchain, None), external(false, false), vec!["token"]),
        (request(Format::Pkcs12, None), external(true, false), vec!["curl", "passphrase", "token", "url"]),
        (request(Format::Zip, None), external(false, false), vec!["passphrase", "token"]),
        (request(Format::Pkcs12, passphrase()), external(false, false), vec!["token"]),
    ] {
        let stored = stored(&prepared(&request), &request, &external);
        assert_eq!(stored.keys().copied().collect::<Vec<_>>(), keys);
    }
}

#[test]
fn the_link_and_the_command_fit_together() {
    let request = request(Format::Fullchain, None);
    let prepared = prepared(&request);
    let stored = stored(&prepared, &request, &external(true, true));
    let url = format!("https://certs.example.com/api/v1/downloads/{}", prepared.token.expose());
    assert_eq!(stored["url"], url);
    assert_eq!(stored["curl"], format!("curl -fsS --cacert ca.crt '{url}' -o 'api-fullchain.pem'"));
}

#[test]
fn the_command_for_a_key_makes_a_file_that_nobody_else_reads() {
    for format in Format::ALL {
        let request = request(format, None);
        let stored = stored(&prepared(&request), &request, &external(true, false));
        assert_eq!(stored["curl"].starts_with("umask 077; curl "), format.holds_key(), "{format}");
    }
}

#[test]
fn the_passphrase_is_sealed_under_the_token() {
    let request = request(Format::Pkcs12, None);
    let prepared = prepared(&request);
    let (token, generated) = (prepared.token.clone(), prepared.generated.clone().unwrap());
    let MintOutcome::Minted(minted) = minted(prepared, Some("reader".to_owned())) else { panic!("a token was made") };
    assert_eq!(minted.reader_name.as_deref(), Some("reader"));
    assert_eq!(minted.hash, token.hash());
    let opened = token::unseal(&token, &minted.sealed_passphrase.unwrap(), "uid-1", 2).unwrap();
    assert_eq!(opened.as_str(), generated.reveal());
}
