//! What is typed.

use std::{path::PathBuf, str::FromStr};

use certcourier_api::name::is_label;
use certcourier_bundle::{Format, PemOrder, Pkcs12Options};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

const EXAMPLES: &str = "\
Examples:
  certcourier render --format fullchain --cert tls.crt -o fullchain.pem
  certcourier render --format key --cert tls.crt --key tls.key -o key.pem
  certcourier render --format pkcs12 --cert tls.crt --key tls.key --passphrase-file pass.txt -o bundle.p12
  certcourier render --format pkcs12 --legacy …      for Windows Server 2016 and older (docs/formats.md)
  certcourier render --format der-zip --name api --environment prod=prod.crt --environment test=test.crt -o api.zip

Files that hold a key are written with mode 0600. Exit code 0: the file is complete; 1: nothing was written.";

/// Make a file from certificate material on this machine, with the code of the server and without a cluster.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct RenderArgs {
    /// cert, chain, fullchain, ca, der, der-zip, key, pkcs12, combined or zip.
    #[arg(long, value_name = "FORMAT", value_parser = Format::from_str)]
    pub(super) format: Format,
    /// The leaf and its intermediates, PEM (`tls.crt` of the Secret).
    #[arg(long, value_name = "FILE", required_unless_present = "environment")]
    pub(super) cert: Option<PathBuf>,
    /// The private key, PEM (`tls.key`): for key, pkcs12, combined and zip.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(super) key: Option<PathBuf>,
    /// The CA's certificates, PEM (`ca.crt`): for ca.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(super) ca: Option<PathBuf>,
    /// One environment of der-zip and its certificate file; give it once for each, instead of --cert.
    #[arg(long, value_name = "NAME=FILE", value_parser = environment, conflicts_with = "cert")]
    pub(super) environment: Vec<(String, PathBuf)>,
    /// The certificate's name: friendlyName of PKCS#12 and part of the names inside ZIP files.
    #[arg(long, value_name = "NAME", default_value = "certificate")]
    pub(super) name: String,
    /// PKCS#12 of profile Legacy: 3DES and SHA-1, for importers that cannot read AES.
    #[arg(long)]
    pub(super) legacy: bool,
    /// Rounds of the key derivation of PKCS#12.
    #[arg(long, value_name = "N", default_value_t = Pkcs12Options::default().iterations)]
    pub(super) iterations: u32,
    /// What importers show for the key of PKCS#12. Default: --name.
    #[arg(long, value_name = "TEXT")]
    pub(super) friendly_name: Option<String>,
    /// The passphrase of pkcs12 and zip: the content of this file without its last line end; `-` reads standard input,
    /// and asks where that is a terminal.
    #[arg(long, value_name = "FILE")]
    pub(super) passphrase_file: Option<PathBuf>,
    /// Order of the parts of combined.
    #[arg(long, value_parser = pem_order(), default_value = PemOrder::default().flag())]
    pub(super) order: PemOrder,
    /// Where to write; `-` is standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    pub(super) force: bool,
}

/// `leaf-chain-key` and `key-leaf-chain`, with the programs that take them.
#[must_use]
pub fn pem_order() -> impl TypedValueParser<Value = PemOrder> {
    let values = PemOrder::ALL.map(|order| PossibleValue::new(order.flag()).help(order.taken_by()));
    PossibleValuesParser::new(values).try_map(|text| text.parse::<PemOrder>())
}

fn environment(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if is_label(name) && !file.is_empty() => Ok((name.to_owned(), file.into())),
        Some((name, _)) if !is_label(name) => {
            Err(format!("`{name}` is not an environment's name: lower-case letters, digits and `-`"))
        }
        _ => Err("write NAME=FILE, such as prod=prod.crt".to_owned()),
    }
}
