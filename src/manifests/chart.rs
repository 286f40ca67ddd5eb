//! The generated part of the Helm chart: kinds, roles and admission policies as templates.
//!
//! The objects are made as for any installation, for an operator with placeholders for names; then each placeholder is
//! replaced by the template expression that yields the real one. What people decide (which objects, which values) is
//! in the chart's hand-written helpers; what the objects say comes from here alone.

use std::{fs, io, path::Path};

use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    operator_roles::{OperatorRoles, operator_roles},
    people_roles::people_roles,
    serving::{self, Serving, Sessions},
    yaml,
};
use crate::{
    admission::{self, Identity, IdentityError, Object, REVISION, REVISION_ANNOTATION},
    api::crds,
};

/// Placeholders for what only an installation knows. Each is replaced in [`Template::text`].
const NAMESPACE: &str = "helm-release-namespace";
const CONTROLLER: &str = "helm-controller-account";
const SERVER: &str = "helm-server-account";
const WATCHED: &str = "helm-watched-namespace";
const CA_CONFIG_MAP: &str = "helm-ca-config-map";
const LABELS: &str = "helm-labels";
const ANNOTATIONS: &str = "helm-annotations";
const SUBJECTS: &str = "helm-subjects";

/// Wide enough that no expression is folded: a list of users must be on one line to be found.
const LINE_WIDTH: usize = 100_000;

const HEAD: &str = "{{- /* Made by `make generate` from the Rust code; a change here is lost. */}}\n";

/// Why the chart could not be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChartError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("write an object as JSON")]
    Json(#[from] serde_json::Error),
    #[error("write an object as YAML")]
    Yaml(#[from] serde_saphyr::SerializeError),
    #[error("use {path}")]
    File {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("{path} has no `properties`: is it the schema of the chart's values?")]
    Schema { path: String },
}

/// Writes the generated files into the chart at `chart`.
pub(super) fn write(chart: &Path) -> Result<(), ChartError> {
    for (path, text) in templates()? {
        put(&chart.join("templates").join(path), &text)?;
    }
    write_policy_schema(&chart.join("values.schema.json"))
}

fn put(path: &Path, text: &str) -> Result<(), ChartError> {
    let failed = |source| ChartError::File { path: path.display().to_string(), source };
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}

/// Path below `templates/` and text of each generated file.
fn templates() -> Result<Vec<(String, String)>, ChartError> {
    let user = |account: &str| format!("system:serviceaccount:{NAMESPACE}:{account}");
    let identity = Identity::new(NAMESPACE, &user(CONTROLLER), &user(SERVER))?;
    let mut files = Vec::new();
    for crd in crds() {
        let path = format!("crds/{}.yaml", crd.spec.names.plural);
        let mut crd = yaml::value(&crd)?;
        crd["metadata"]["annotations"] = json!({"helm.sh/resource-policy": "keep"});
        files.push((path, Template::new().when(".Values.crds.install").object(&crd)?.end().text));
    }
    files.push(("rbac/operator.yaml".to_owned(), operator(&identity)?));
    let mut people = Template::new();
    for role in people_roles() {
        people = people.object(&role)?;
    }
    files.push(("rbac/people.yaml".to_owned(), people.text));
    files.push(("rbac/serving.yaml".to_owned(), serving_certificate(&identity)?));
    files.push(("rbac/session.yaml".to_owned(), session_key(&identity)?));
    for pair in admission::objects(&identity).chunks(2) {
        let mut template = Template::new();
        for object in pair {
            template = match object {
                Object::Policy(policy) => template.object(policy)?,
                Object::Binding(binding) => template.object(binding)?,
            };
        }
        let name = pair[0].name();
        files.push((format!("admission/{}.yaml", short(&name)), template.text));
    }
    let mut stamp = Template::new().when("eq (include \"certcourier.stamp\" .) \"true\"");
    for object in admission::stamp() {
        stamp = stamp.object(&object)?;
    }
    files.push((format!("admission/{}.yaml", short(admission::name::STAMP)), stamp.end().text));
    Ok(files)
}

fn short(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// The operator's roles, bound everywhere or in each of the listed namespaces.
fn operator(identity: &Identity) -> Result<String, ChartError> {
    let everywhere = operator_roles(identity, &[]);
    let listed = operator_roles(identity, &[WATCHED.to_owned()]);
    let mut template = Template::new();
    for role in &everywhere.cluster_roles {
        template = template.object(role)?;
    }
    for role in &everywhere.roles {
        template = template.object(role)?;
    }
    let [system, guarding, wide @ ..] = everywhere.cluster_bindings.as_slice() else { return Ok(template.text) };
    // In sidecar placement both subjects are one.
    let mut system = yaml::value(system)?;
    system["subjects"] = json!(SUBJECTS);
    template = template.object(&system)?.object(guarding)?;
    let OperatorRoles { bindings, .. } = listed;
    let is_watched = |binding: &&RoleBinding| binding.metadata.namespace.as_deref() == Some(WATCHED);
    for own in bindings.iter().filter(|binding| !is_watched(binding)) {
        template = template.object(own)?;
    }
    template = template.when("eq .Values.scope \"cluster\"");
    for binding in wide {
        template = template.object(binding)?;
    }
    template = template.line("{{- else }}").line("{{- range include \"certcourier.namespaces\" . | splitList \",\" }}");
    for binding in bindings.iter().filter(is_watched) {
        template = template.object(binding)?;
    }
    Ok(template.end().end().text)
}

/// The certificate that the servers make for themselves, and the CA that the controller gives to people.
fn serving_certificate(identity: &Identity) -> Result<String, ChartError> {
    let Serving { secret, config_map, server, .. } = serving::serving(identity);
    let (role, binding): (Role, RoleBinding) = serving::external_ca(identity, CA_CONFIG_MAP);
    let template = Template::new()
        .when("eq .Values.tls.source \"self-managed\"")
        .object(&secret)?
        .object(&config_map)?
        .object(&server.0)?
        .object(&server.1)?
        .end()
        .when("include \"certcourier.caConfigMap\" .")
        .object(&role)?
        .object(&binding)?
        .end();
    Ok(template.text)
}

/// The key of the web page's sessions.
fn session_key(identity: &Identity) -> Result<String, ChartError> {
    let Sessions { secret, server } = serving::sessions(identity);
    let template = Template::new().when(".Values.ui.enabled");
    Ok(template.object(&secret)?.object(&server.0)?.object(&server.1)?.end().text)
}

/// The text of one template file.
struct Template {
    text: String,
}

impl Template {
    fn new() -> Self {
        Self { text: HEAD.to_owned() }
    }

    fn line(mut self, line: &str) -> Self {
        self.text.push_str(line);
        self.text.push('\n');
        self
    }

    fn when(self, condition: &str) -> Self {
        self.line(&format!("{{{{- if {condition} }}}}"))
    }

    fn end(self) -> Self {
        self.line("{{- end }}")
    }

    fn object(mut self, object: &impl Serialize) -> Result<Self, ChartError> {
        let mut object = yaml::value(object)?;
        let labels = marked(&mut object);
        let text = serde_saphyr::to_string_with_options(
            &object,
            serde_saphyr::ser_options! { folded_wrap_chars: LINE_WIDTH },
        )?;
        // What looks like a template in an expression is none.
        let text = text.replace("{{", "{{ \"{{\" }}");
        self.text.push_str("---\n");
        self.text.push_str(&expressions(&text, &labels));
        Ok(self)
    }
}

/// Puts marks where lines go that no object has as such; returns the labels that stay beside the chart's own.
fn marked(object: &mut Value) -> Vec<(String, String)> {
    let Some(metadata) = object["metadata"].as_object_mut() else { return Vec::new() };
    let own = metadata.insert("labels".to_owned(), json!(LABELS));
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
    match annotations.as_object_mut() {
        Some(annotations) if !annotations.is_empty() => {
            if let Some(revision) = annotations.get_mut(REVISION_ANNOTATION) {
                // The digest behind the number would be one of the placeholders'.
                *revision = json!(REVISION.to_string());
            }
            annotations.insert(ANNOTATIONS.to_owned(), json!(ANNOTATIONS));
        }
        _ => *annotations = json!(ANNOTATIONS),
    }
    let own: Map<String, Value> = own.and_then(|labels| labels.as_object().cloned()).unwrap_or_default();
    own.into_iter()
        .filter(|(key, _)| key != "app.kubernetes.io/name")
        .map(|(key, value)| (key, value.as_str().unwrap_or_default().to_owned()))
        .collect()
}

/// The text with each placeholder replaced by the expression that yields it. `$` is the root, also within a range.
fn expressions(text: &str, labels: &[(String, String)]) -> String {
    let user = |account: &str| format!("system:serviceaccount:{NAMESPACE}:{account}");
    let (controller, server) = (user(CONTROLLER), user(SERVER));
    let own: Vec<String> = labels.iter().map(|(key, value)| format!("\n    {key}: \"{value}\"")).collect();
    let own = own.concat();
    let annotations = "include \"certcourier.annotations\" $";
    let mut text = text.to_owned();
    for (from, to) in [
        (
            format!("labels: {LABELS}\n"),
            format!("labels:\n    {{{{- include \"certcourier.labels\" $ | nindent 4 }}}}{own}\n"),
        ),
        // Alone, or beside annotations of the object's own.
        (
            format!("  annotations: {ANNOTATIONS}\n"),
            format!(
                "  {{{{- if {annotations} }}}}\n  annotations:\n    {{{{- {annotations} | nindent 4 }}}}\n  {{{{- end }}}}\n"
            ),
        ),
        (format!("{ANNOTATIONS}: {ANNOTATIONS}\n"), format!("{{{{- {annotations} | nindent 4 }}}}\n")),
        (
            format!("subjects: {SUBJECTS}\n"),
            "subjects:\n  {{- include \"certcourier.subjects\" $ | nindent 2 }}\n".to_owned(),
        ),
        (format!("['{controller}', '{server}']"), "[{{ include \"certcourier.users\" $ }}]".to_owned()),
        (format!("'{controller}'"), "'{{ include \"certcourier.controllerUser\" $ }}'".to_owned()),
        (format!("'{server}'"), "'{{ include \"certcourier.serverUser\" $ }}'".to_owned()),
        (format!("'{NAMESPACE}'"), "'{{ $.Release.Namespace }}'".to_owned()),
        (format!(": {NAMESPACE}\n"), ": {{ $.Release.Namespace | quote }}\n".to_owned()),
        (format!(": {CONTROLLER}\n"), ": {{ include \"certcourier.controllerAccount\" $ | quote }}\n".to_owned()),
        (format!(": {SERVER}\n"), ": {{ include \"certcourier.serverAccount\" $ | quote }}\n".to_owned()),
        (format!(": {WATCHED}\n"), ": {{ . | quote }}\n".to_owned()),
        (format!("- {CA_CONFIG_MAP}\n"), "- {{ include \"certcourier.caConfigMap\" $ | quote }}\n".to_owned()),
    ] {
        text = text.replace(&from, &to);
    }
    text
}

/// `clusterPolicy` has the fields of a `CertificatePolicy`: its schema is that kind's.
fn write_policy_schema(path: &Path) -> Result<(), ChartError> {
    let failed = |source| ChartError::File { path: path.display().to_string(), source };
    let mut schema: Value = serde_json::from_str(&fs::read_to_string(path).map_err(failed)?)?;
    let Some(properties) = schema["properties"].as_object_mut() else {
        return Err(ChartError::Schema { path: path.display().to_string() });
    };
    properties.insert("clusterPolicy".to_owned(), policy_schema()?);
    put(path, &format!("{}\n", serde_json::to_string_pretty(&schema)?))
}

fn policy_schema() -> Result<Value, ChartError> {
    let policies = crds().into_iter().find(|crd| crd.spec.names.kind == "CertificatePolicy");
    let mut crd = yaml::value(&policies)?;
    let mut spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].take();
    as_json_schema(&mut spec);
    Ok(spec)
}

/// Without Kubernetes' own keywords; an object has the fields that are named and no others.
fn as_json_schema(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    // Helm knows no CEL; a rule that is nothing but a pattern is one here, too.
    let mut rules = fields.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten();
    let pattern = rules.find_map(|rule| rule["rule"].as_str()?.strip_prefix("self.matches('")?.strip_suffix("')"));
    if let Some(pattern) = pattern.map(str::to_owned) {
        fields.insert("pattern".to_owned(), json!(pattern));
    }
    fields.retain(|key, _| !key.starts_with("x-kubernetes-") && key != "format");
    if fields.contains_key("properties") {
        fields.insert("additionalProperties".to_owned(), json!(false));
    }
    for property in fields.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        as_json_schema(property);
    }
    if let Some(items) = fields.get_mut("items") {
        as_json_schema(items);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_placeholder_is_left_and_every_expression_of_cel_is_kept() {
        for (path, text) in templates().unwrap() {
            assert!(!text.contains("helm-"), "{path}: {text}");
            let opened = text.matches("{{- if").count() + text.matches("{{- range").count();
            assert_eq!(opened, text.matches("{{- end }}").count(), "{path}");
        }
    }

    #[test]
    fn the_schema_of_the_cluster_policy_refuses_what_is_misspelt() {
        let schema = policy_schema().unwrap();
        assert_eq!(schema["additionalProperties"], json!(false));
        assert_eq!(schema["properties"]["token"]["additionalProperties"], json!(false));
        assert!(schema["properties"]["allowKeyExport"]["enum"].is_array(), "{schema}");
        assert!(!schema.to_string().contains("x-kubernetes"), "{schema}");
        let pattern = &schema["properties"]["token"]["properties"]["ttl"]["pattern"];
        assert!(pattern.as_str().unwrap().starts_with("^([0-9]{1,6}h)?"), "{pattern}");
    }
}
