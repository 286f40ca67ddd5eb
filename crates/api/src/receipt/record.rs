//! A receipt as a line of a table, for auditors: the same from the plugin and from the web page.

use kube::ResourceExt as _;

use super::DownloadReceipt;

impl DownloadReceipt {
    /// The columns of [`Self::record`]. Names that stay, because programs read them.
    pub const COLUMNS: [&'static str; 20] = [
        "consumed_at",
        "cluster",
        "namespace",
        "receipt",
        "request",
        "certificate",
        "environment",
        "format",
        "outcome",
        "requested_by",
        "reason",
        "approved_by",
        "policies",
        "client_ip",
        "consumed_by",
        "user_agent",
        "bytes",
        "sha256",
        "fingerprints",
        "retain_until",
    ];

    /// What it says, in the order of the columns.
    #[must_use]
    pub fn record(&self) -> [String; 20] {
        let spec = &self.spec;
        let approvals: Vec<String> =
            spec.approvals.iter().map(|by| format!("{}: {}", by.username, by.reason)).collect();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        [
            spec.consumed_at.0.to_string(),
            text(&spec.cluster),
            self.namespace().unwrap_or_default(),
            self.name_any(),
            spec.request_ref.name.clone(),
            spec.certificate_ref.name.clone(),
            text(&spec.environment),
            spec.format.name().to_owned(),
            self.outcome().map(|outcome| outcome.name().to_owned()).unwrap_or_default(),
            self.requester().to_owned(),
            text(&spec.reason),
            approvals.join("; "),
            spec.policies.join(" "),
            text(&spec.client_ip),
            spec.consumed_by.as_ref().map(|by| by.username.clone()).unwrap_or_default(),
            text(&spec.user_agent),
            spec.artifact.bytes.to_string(),
            spec.artifact.sha256.clone(),
            spec.fingerprints.join(" "),
            spec.retain_until.0.to_string(),
        ]
    }
}
