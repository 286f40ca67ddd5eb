//! The moments between which a certificate is valid.

use std::{borrow::Cow, fmt};

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

const EPOCH: civil::DateTime = civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
const FIRST: civil::DateTime = civil::DateTime::constant(0, 1, 1, 0, 0, 0, 0);
const LAST: civil::DateTime = civil::DateTime::constant(9999, 12, 31, 23, 59, 59, 0);

/// A moment at which a certificate begins or ceases to be valid: UTC, whole seconds, years 0 to 9999.
///
/// [`super::DateTime`] does not do: it ends a day too early for `9999-12-31T23:59:59Z`, with which certificates say that
/// they never expire (RFC 5280 §4.1.2.5), and a fact that cannot be held is a fact that is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValidityTime(civil::DateTime);

impl ValidityTime {
    /// The moment so many seconds after 1970 began; outside of the years 0 to 9999 the nearest one in them.
    #[must_use]
    pub fn from_second(seconds: i64) -> Self {
        let limit = if seconds < 0 { FIRST } else { LAST };
        Self(EPOCH.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(limit).clamp(FIRST, LAST))
    }

    /// Seconds since 1970 began.
    #[must_use]
    pub fn as_second(self) -> i64 {
        self.0.duration_since(EPOCH).as_secs()
    }

    /// How long until then; negative when it is over.
    #[must_use]
    pub fn duration_since(self, now: Timestamp) -> SignedDuration {
        SignedDuration::from_secs(self.as_second().saturating_sub(now.as_second()))
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_before(self, now: Timestamp) -> bool {
        self.duration_since(now).is_negative()
    }

    /// Whether a certificate says with it that it never expires.
    #[must_use]
    pub fn is_never(self) -> bool {
        self.0 == LAST
    }
}

impl fmt::Display for ValidityTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Z", self.0)
    }
}

impl Serialize for ValidityTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ValidityTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        let moment = match text.parse::<Timestamp>() {
            Ok(moment) => moment.to_zoned(TimeZone::UTC).datetime(),
            Err(error) => {
                let utc = text.strip_suffix(['Z', 'z']).ok_or_else(|| serde::de::Error::custom(&error))?;
                utc.parse().map_err(serde::de::Error::custom)?
            }
        };
        Ok(Self::from_second(moment.duration_since(EPOCH).as_secs()))
    }
}

impl JsonSchema for ValidityTime {
    fn schema_name() -> Cow<'static, str> {
        "ValidityTime".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_moment_that_a_certificate_can_name_is_written_and_read_back() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (1_795_370_400, "2026-11-22T18:00:00Z"),
            (253_402_207_200, "9999-12-30T22:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (-62_167_219_200, "0000-01-01T00:00:00Z"),
        ] {
            let moment = ValidityTime::from_second(seconds);
            assert_eq!((moment.to_string().as_str(), moment.as_second()), (text, seconds));
            assert_eq!(serde_json::to_value(moment).unwrap(), text);
            assert_eq!(serde_json::from_value::<ValidityTime>(text.into()).unwrap(), moment);
        }
        assert_eq!(ValidityTime::from_second(i64::MAX), ValidityTime(LAST));
        assert_eq!(ValidityTime::from_second(253_402_300_800), ValidityTime(LAST));
        assert_eq!(ValidityTime::from_second(i64::MIN), ValidityTime(FIRST));
        assert_eq!(ValidityTime::from_second(-62_167_219_201), ValidityTime(FIRST));
        assert!(serde_json::from_value::<ValidityTime>("soon".into()).is_err());
        let offset: ValidityTime = serde_json::from_value("2026-11-22T19:00:00.5+01:00".into()).unwrap();
        assert_eq!(offset.to_string(), "2026-11-22T18:00:00Z");
    }

    #[test]
    fn it_is_compared_with_the_clock() {
        let now: Timestamp = "2026-11-22T18:00:00.5Z".parse().unwrap();
        let end = ValidityTime::from_second(now.as_second());
        assert!(!end.is_before(now) && ValidityTime::from_second(now.as_second() - 1).is_before(now));
        assert_eq!(ValidityTime::from_second(now.as_second() + 60).duration_since(now), SignedDuration::from_secs(60));
        assert!(ValidityTime::from_second(253_402_300_799).is_never() && !end.is_never());
    }
}
