//! How the closed lists look in a JSON schema: one text of a list, with the description that `kubectl explain` prints.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::{Format, PemOrder, Pkcs12Profile};

impl JsonSchema for Format {
    fn schema_name() -> Cow<'static, str> {
        "Format".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let (public, key): (Vec<Self>, Vec<Self>) = Self::ALL.into_iter().partition(|format| format.is_public());
        let description = format!(
            "The file to deliver.\n\nFormats without a key: {}.\nFormats with the private key: {}.",
            explained(&public),
            explained(&key)
        );
        one_of(&description, &Self::ALL.map(Self::name))
    }
}

/// `cert` (leaf, PEM), `chain` (intermediates, PEM)
fn explained(formats: &[Format]) -> String {
    let one = |format: &Format| match format.content() {
        Some(content) => format!("`{format}` ({content})"),
        None => format!("`{format}`"),
    };
    formats.iter().map(one).collect::<Vec<_>>().join(", ")
}

impl JsonSchema for Pkcs12Profile {
    fn schema_name() -> Cow<'static, str> {
        "Pkcs12Profile".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let description = "How a PKCS#12 file is encrypted: `Modern` (AES-256, HMAC-SHA-256) or `Legacy` (3DES and \
                           SHA-1, for Windows Server 2016 and older).";
        one_of(description, &Self::ALL.map(Self::name))
    }
}

impl JsonSchema for PemOrder {
    fn schema_name() -> Cow<'static, str> {
        "PemOrder".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        one_of("The order of the parts in a combined PEM file.", &Self::ALL.map(Self::name))
    }
}

fn one_of(description: &str, names: &[&str]) -> Schema {
    json_schema!({ "description": description, "type": "string", "enum": names })
}
