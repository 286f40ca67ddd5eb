//! What the API server gives at a time, of a list.

use std::fmt::Debug;

use futures::{AsyncRead, AsyncReadExt as _};
use kube::{
    Api, Error, Resource,
    api::ListParams,
    core::{DeserializeGuard, ObjectList, Request},
};
use serde::de::DeserializeOwned;

/// So many bytes are read of a list of many objects. A certificate takes two or three thousand.
const MOST_BYTES: usize = 4 << 20;

/// Reads objects of a list. None: there are more than `few` of them, and they are larger than is read at a time; nothing
/// was kept.
///
/// # Errors
/// [`Error`] when the API server refuses, or does not answer.
pub async fn read<K>(
    api: &Api<DeserializeGuard<K>>,
    params: &ListParams,
    few: u32,
) -> Result<Option<ObjectList<DeserializeGuard<K>>>, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    if params.limit.is_some_and(|limit| limit <= few) {
        return api.list(params).await.map(Some);
    }
    let request = Request::new(api.resource_url()).list(params).map_err(Error::BuildRequest)?;
    let answer = api.clone().into_client().request_stream(request).await?;
    let body = bounded(answer, MOST_BYTES).await?;
    body.map(|body| serde_json::from_slice(&body).map_err(Error::SerdeError)).transpose()
}

/// The whole of an answer. None: it is larger than that.
async fn bounded(answer: impl AsyncRead, most: usize) -> Result<Option<Vec<u8>>, Error> {
    let mut body = Vec::new();
    let end = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut answer = std::pin::pin!(answer.take(end));
    answer.read_to_end(&mut body).await.map_err(|cut_off| Error::Service(cut_off.into()))?;
    Ok((body.len() <= most).then_some(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_that_is_too_large_is_not_kept() {
        for (bytes, kept) in [(0, true), (10, true), (11, false), (1000, false)] {
            let body = vec![b'x'; bytes];
            let read = bounded(body.as_slice(), 10).await.unwrap();
            assert_eq!(read, kept.then_some(body), "{bytes}");
        }
    }
}
