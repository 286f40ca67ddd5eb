//! The ConfigMap by which the operator's namespace says where the server is. Users who are not allowed to read it do
//! without.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use super::route::Published;
use crate::api::names;
use crate::cluster::error::in_one_line;
use crate::plugin::context::Ctx;

/// Key of the name of another ConfigMap there, whose `ca.crt` vouches for the server: the one that the servers fill.
const CA_CONFIG_MAP: &str = "caConfigMap";

/// What the ConfigMap says; nothing where there is none, or it cannot be read.
pub async fn config_map(ctx: &Ctx) -> Option<Published> {
    let mut data = read(ctx, names::SERVER).await?;
    let named = take(&mut data, CA_CONFIG_MAP);
    let published = published(data);
    let (None, Some(named)) = (&published.ca, named) else { return Some(published) };
    let ca = read(ctx, &named).await.and_then(|mut data| take(&mut data, names::CA_KEY));
    Some(Published { ca, ..published })
}

async fn read(ctx: &Ctx, name: &str) -> Option<BTreeMap<String, String>> {
    let namespace = ctx.global.operator_namespace();
    let maps: Api<ConfigMap> = Api::namespaced(ctx.clients.reads().clone(), namespace);
    match maps.get_opt(name).await {
        Ok(map) => map?.data,
        Err(error) => {
            tracing::debug!(error = in_one_line(&error), name, namespace, "the ConfigMap cannot be read");
            None
        }
    }
}

fn published(mut data: BTreeMap<String, String>) -> Published {
    let url = take(&mut data, "url").and_then(|url| crate::external_url::parse(url.trim()).ok());
    Published { url, ca: take(&mut data, names::CA_KEY), service: take(&mut data, "service") }
}

fn take(data: &mut BTreeMap<String, String>, key: &str) -> Option<String> {
    data.remove(key).filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_and_what_is_empty_are_passed_over() {
        let read = |data: &[(&str, &str)]| {
            published(data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(
            read(&[("url", "https://certs.example.com/\n"), ("ca.crt", "PEM"), ("service", "courier")]),
            Published {
                url: Some("https://certs.example.com".into()),
                ca: Some("PEM".into()),
                service: Some("courier".into())
            }
        );
        assert_eq!(read(&[("url", "certs.example.com"), ("ca.crt", " "), ("service", "")]), Published::default());
    }
}
