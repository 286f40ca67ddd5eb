//! The text of kubeconfig files. Written by hand rather than from a struct, so that people can read them.

use base64ct::{Base64, Encoding as _};

use crate::{person::Token, pki::KeyAndCertificate};

/// How the user of a kubeconfig proves who they are.
pub(crate) enum Credential<'a> {
    Token(&'a Token),
    Certificate(&'a KeyAndCertificate),
}

/// A kubeconfig with one cluster, one user and one context, complete in itself: no paths to other files.
pub(crate) fn text(url: &str, ca_pem: &str, user: &str, credential: &Credential<'_>) -> String {
    let base64 = |pem: &str| Base64::encode_string(pem.as_bytes());
    let credential = match credential {
        Credential::Token(token) => format!("token: {}", quoted(token.as_str())),
        Credential::Certificate(client) => format!(
            "client-certificate-data: {}\n    client-key-data: {}",
            base64(&client.certificate_pem),
            base64(&client.key_pem)
        ),
    };
    format!(
        "apiVersion: v1
kind: Config
current-context: test
clusters:
- name: test
  cluster:
    server: {url}
    certificate-authority-data: {ca}
users:
- name: {user}
  user:
    {credential}
contexts:
- name: test
  context:
    cluster: test
    user: {user}
",
        ca = base64(ca_pem),
        user = quoted(user),
    )
}

/// A JSON string is a YAML string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use kube::config::Kubeconfig;

    use super::*;

    #[test]
    fn a_service_account_is_a_user_name_like_any_other() {
        let token = Token::new("abc".to_owned());
        let user = "system:serviceaccount:ns:name";
        let text = text("https://127.0.0.1:1234", "PEM", user, &Credential::Token(&token));
        let parsed = Kubeconfig::from_yaml(&text).unwrap();
        assert_eq!(parsed.current_context.as_deref(), Some("test"));
        assert_eq!(parsed.auth_infos[0].name, user);
        assert_eq!(parsed.contexts[0].context.as_ref().unwrap().user.as_deref(), Some(user));
        assert_eq!(parsed.clusters[0].cluster.as_ref().unwrap().server.as_deref(), Some("https://127.0.0.1:1234"));
    }
}
