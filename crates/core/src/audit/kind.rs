//! Every type of fact.

/// Type of a fact, in the attribute `type` of its line. The list is closed; docs/audit.md explains each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is one word of the record that docs/audit.md explains")]
pub enum Kind {
    AuditStarted,
    RequestCreated,
    RequestRefused,
    RequestFailed,
    RequestExpired,
    RequestRevoked,
    RequestDeleted,
    ApprovalRequested,
    ApprovalGranted,
    ApprovalDenied,
    TokenMinted,
    TokenExpired,
    TokenReused,
    CertReleasing,
    CertDownloaded,
    CertDownloadRefused,
    CertExported,
    ApiCalled,
    GuardIntact,
    GuardFailed,
}

impl Kind {
    /// Every type, in the order of docs/audit.md.
    pub const ALL: [Self; 20] = [
        Self::RequestCreated,
        Self::RequestRefused,
        Self::RequestFailed,
        Self::RequestExpired,
        Self::RequestRevoked,
        Self::RequestDeleted,
        Self::ApprovalRequested,
        Self::ApprovalGranted,
        Self::ApprovalDenied,
        Self::TokenMinted,
        Self::TokenExpired,
        Self::TokenReused,
        Self::CertReleasing,
        Self::CertDownloaded,
        Self::CertDownloadRefused,
        Self::CertExported,
        Self::ApiCalled,
        Self::GuardIntact,
        Self::GuardFailed,
        Self::AuditStarted,
    ];

    /// Its name: the attribute `type`, and a label of metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuditStarted => "audit.started",
            Self::RequestCreated => "request.created",
            Self::RequestRefused => "request.refused",
            Self::RequestFailed => "request.failed",
            Self::RequestExpired => "request.expired",
            Self::RequestRevoked => "request.revoked",
            Self::RequestDeleted => "request.deleted",
            Self::ApprovalRequested => "approval.requested",
            Self::ApprovalGranted => "approval.granted",
            Self::ApprovalDenied => "approval.denied",
            Self::TokenMinted => "token.minted",
            Self::TokenExpired => "token.expired",
            Self::TokenReused => "token.reused",
            Self::CertReleasing => "cert.releasing",
            Self::CertDownloaded => "cert.downloaded",
            Self::CertDownloadRefused => "cert.download_refused",
            Self::CertExported => "cert.exported",
            Self::ApiCalled => "api.called",
            Self::GuardIntact => "guard.intact",
            Self::GuardFailed => "guard.failed",
        }
    }
}
