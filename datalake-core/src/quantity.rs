//! Times and sizes as people write them: `30s`, `64MiB`.

use std::time::Duration;

use crate::error::{Error, Result};

/// A time such as `30s`, `500ms`, `1.5min` or `2h`; a number alone is seconds.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for any other text, and for no time at all.
///
/// ```
/// use std::time::Duration;
///
/// use datalake_core::quantity;
/// assert_eq!(quantity::time("1.5min")?, Duration::from_secs(90));
/// # Ok::<(), datalake_core::Error>(())
/// ```
pub fn time(text: &str) -> Result<Duration> {
    let refuse = || {
        Error::invalid("use", format_args!("`{text}` as a time"))
            .with_reason("wanted is a number above zero with ms, s, min or h, such as 30s")
    };
    let (number, unit) = number_and_unit(text).ok_or_else(refuse)?;
    let seconds = match unit {
        "" | "s" => 1.0,
        "ms" => 1e-3,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(refuse()),
    };
    let time = Duration::try_from_secs_f64(number * seconds).map_err(|_| refuse())?;
    if time.is_zero() { Err(refuse()) } else { Ok(time) }
}

/// A size such as `50MB` (10^6 bytes), `64MiB` (2^20 bytes) or `1.5GB`; a number alone is bytes.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for any other text, and for less than a byte.
///
/// ```
/// use datalake_core::quantity;
/// assert_eq!(quantity::size("64MiB")?, 64 << 20);
/// # Ok::<(), datalake_core::Error>(())
/// ```
pub fn size(text: &str) -> Result<u64> {
    let refuse = || {
        Error::invalid("use", format_args!("`{text}` as a size"))
            .with_reason("wanted is a number above zero with B, kB, MB, GB, KiB, MiB or GiB, such as 50MB")
    };
    let (number, unit) = number_and_unit(text).ok_or_else(refuse)?;
    let bytes = match unit {
        "" | "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        _ => return Err(refuse()),
    };
    let bytes = number * bytes;
    if (1.0..9e15).contains(&bytes) { Ok(bytes as u64) } else { Err(refuse()) }
}

fn number_and_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let number: f64 = text[..end].trim().parse().ok()?;
    (number.is_finite() && number > 0.0).then_some((number, &text[end..]))
}
