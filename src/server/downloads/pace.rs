//! Refusals of tokens that belong to nothing come at the same time whatever the reason, because time would tell an
//! outsider what the words do not: whether there is such a request, and whether its namespace is served.

use tokio::time::{Duration, Instant, sleep_until};

use crate::server::http::error::{ErrorCode, ServerError};

/// Such a refusal leaves at a multiple of this after its request. Well above what a lookup takes, so that it is the first
/// multiple for all of them.
pub const STEP: Duration = Duration::from_millis(250);

/// Does the work, and holds [`ErrorCode::TokenUnknown`] back until the next step; everything else is answered at once.
///
/// # Errors
/// Those of the work.
pub async fn evenly<T>(work: impl Future<Output = Result<T, ServerError>>) -> Result<T, ServerError> {
    let began = Instant::now();
    let answer = work.await;
    if answer.as_ref().is_err_and(|refusal| refusal.code() == ErrorCode::TokenUnknown) {
        sleep_until(next_step(began, Instant::now())).await;
    }
    answer
}

/// The first step that is not over.
fn next_step(began: Instant, now: Instant) -> Instant {
    let steps = now.saturating_duration_since(began).as_nanos().div_ceil(STEP.as_nanos()).max(1);
    began + STEP * u32::try_from(steps).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_nothing_are_refused_at_the_same_instant_however_long_their_lookup_took() {
        let (began, millis) = (Instant::now(), Duration::from_millis);
        // A namespace that is not served, no such request, another request's hash.
        for lookup in [millis(0), millis(1), millis(4), millis(6), millis(249), STEP] {
            assert_eq!(next_step(began, began + lookup), began + STEP, "{lookup:?}");
        }
        assert_eq!(next_step(began, began + millis(251)), began + 2 * STEP);
    }

    #[tokio::test]
    async fn a_token_of_nothing_waits_for_its_step_and_others_do_not() {
        let answer = async |code| {
            let began = Instant::now();
            let refusal = evenly(async { Err::<(), _>(ServerError::new(code, "no")) }).await.unwrap_err();
            assert_eq!(refusal.code(), code);
            began.elapsed()
        };
        let (unknown, used) = tokio::join!(answer(ErrorCode::TokenUnknown), answer(ErrorCode::TokenUsed));
        assert!(unknown >= STEP && used < unknown, "{unknown:?}, {used:?}");
    }
}
