//! The `DownloadRequest` kind.

mod read;
mod spec;
mod status;

pub use spec::{Delivery, DownloadRequest, DownloadRequestSpec, PassphraseReference, PemRequest, Pkcs12Request};
pub use status::{Approval, ApprovalCount, DownloadRequestStatus, Phase, PreviousToken, Review, Token, TokenEnd};
