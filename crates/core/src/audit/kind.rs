//! Every type of fact.

use crate::api::words;

words! {
    /// Type of a fact, in the attribute `type` of its line and in a label of metrics. The list is closed, in the order of
    /// docs/audit.md, which explains each.
    #[expect(missing_docs, reason = "each is one word of the record that docs/audit.md explains")]
    pub enum Kind {
        RequestCreated = "request.created",
        RequestRefused = "request.refused",
        RequestFailed = "request.failed",
        RequestExpired = "request.expired",
        RequestRevoked = "request.revoked",
        RequestDeleted = "request.deleted",
        ApprovalRequested = "approval.requested",
        ApprovalGranted = "approval.granted",
        ApprovalDenied = "approval.denied",
        TokenMinted = "token.minted",
        TokenExpired = "token.expired",
        TokenReused = "token.reused",
        CertReleasing = "cert.releasing",
        CertDownloaded = "cert.downloaded",
        CertDownloadRefused = "cert.download_refused",
        CertExported = "cert.exported",
        ApiCalled = "api.called",
        GuardIntact = "guard.intact",
        GuardFailed = "guard.failed",
        AuditStarted = "audit.started",
    }
}
