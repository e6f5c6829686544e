//! Lengths of time as people write them: `500ms`, `5s`, `10m`, `1h`.

use std::time::Duration;

/// The longest time that a definition may name.
const MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Reads a whole number and its unit; the error says what is accepted.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(unit_at);
    let span = digits.parse::<u64>().ok().and_then(|count| match unit {
        "ms" => Some(Duration::from_millis(count)),
        "s" => Some(Duration::from_secs(count)),
        "m" => count.checked_mul(60).map(Duration::from_secs),
        "h" => count.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    });
    match span {
        Some(span) if span <= MAX => Ok(span),
        Some(_) => Err(format!("`{text}` is longer than 168h")),
        None => {
            Err(format!("`{text}` is not a duration: write a whole number and ms, s, m or h, such as 500ms or 10m"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<Duration>) {
        assert_eq!(parse(text).ok(), expected, "{text}");
    }

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        check("500ms", Some(Duration::from_millis(500)));
        check("5s", Some(Duration::from_secs(5)));
        check("10m", Some(Duration::from_secs(600)));
        check("1h", Some(Duration::from_secs(3600)));
        check("0ms", Some(Duration::ZERO));
        for wrong in
            ["", "5", "s", "1.5s", "-1s", "5 s", "1d", "169h", "99999999999999999999h", "18446744073709551615h"]
        {
            check(wrong, None);
        }
    }
}
