//! When a cron trigger fires: an expression read in its time zone.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A cron expression of five fields, or six with seconds first, and the zone its clock shows.
#[derive(Clone)]
pub struct Cron {
    pattern: croner::Cron,
    zone: TimeZone,
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.pattern.as_str() == other.pattern.as_str() && self.zone == other.zone
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({} {:?})", self.pattern.as_str(), self.zone.iana_name())
    }
}

impl Cron {
    pub(crate) fn parse(expression: &str) -> Result<Self, String> {
        let parser = croner::parser::CronParser::builder().seconds(croner::parser::Seconds::Optional).build();
        let pattern = parser.parse(expression).map_err(|error| error.to_string())?;
        Ok(Self { pattern, zone: TimeZone::UTC })
    }

    /// The same in a zone of the IANA database, such as `Europe/Paris`.
    pub(crate) fn in_zone(self, name: &str) -> Result<Self, String> {
        let zone = TimeZone::get(name)
            .map_err(|_| format!("unknown time zone `{name}`: write a name such as Europe/Paris or UTC"))?;
        Ok(Self { zone, ..self })
    }

    /// The first time after `at`; `None` when there is none any more.
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        self.pattern.find_next_occurrence(&at.to_zoned(self.zone.clone()), false).ok().map(|next| next.timestamp())
    }
}
