//! The ConfigMap by which the operator's namespace says where the server is. Whoever may not read it does without.

use ::kube::Api;
use k8s_openapi::api::core::v1::ConfigMap;

use super::{super::context::Ctx, route::Published};
use crate::api::names;

/// What the ConfigMap says; nothing where there is none, or it may not be read.
pub async fn config_map(ctx: &Ctx) -> Option<Published> {
    let maps: Api<ConfigMap> = Api::namespaced(ctx.clients.reads().clone(), &ctx.global.operator_namespace);
    let found = maps.get_opt(names::SERVER).await;
    match found {
        Ok(map) => published(map?),
        Err(error) => {
            let (name, namespace) = (names::SERVER, ctx.global.operator_namespace.as_str());
            tracing::debug!(%error, name, namespace, "the ConfigMap cannot be read");
            None
        }
    }
}

fn published(map: ConfigMap) -> Option<Published> {
    let mut data = map.data?;
    let url = data.remove("url").and_then(|url| crate::external_url::parse(url.trim()).ok());
    let ca = data.remove("ca.crt").filter(|ca| !ca.trim().is_empty());
    Some(Published { url, ca })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(data: &[(&str, &str)]) -> ConfigMap {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        ConfigMap { data: Some(data), ..ConfigMap::default() }
    }

    #[test]
    fn an_address_that_is_none_is_passed_over() {
        let read = |data: &[(&str, &str)]| published(map(data)).unwrap();
        assert_eq!(
            read(&[("url", "https://certs.example.com/\n"), ("ca.crt", "PEM")]),
            Published { url: Some("https://certs.example.com".into()), ca: Some("PEM".into()) }
        );
        assert_eq!(read(&[("url", "certs.example.com"), ("ca.crt", " ")]), Published::default());
    }
}
