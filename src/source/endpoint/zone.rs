//! Parses the zone of a link-local IPv6 address: `[fe80::1%25eth0]` in a URL (RFC 6874), or
//! `fe80::1%eth0` as users and tools write it. No I/O.

use std::net::Ipv6Addr;

/// The longest zone, in bytes. Linux allows 15 for the name of an interface.
const MAX_ZONE_BYTES: usize = 64;

/// Splits `text`, which is a host, a host and a port, or a URL. Returns the text without its zone,
/// and the zone, if it has one. Only a `%` after an IPv6 address begins a zone.
///
/// Returns `None` for a zone that no network interface can have.
pub fn split(text: &str) -> Option<(String, Option<String>)> {
    let (before, host, after) = match (text.find('['), text.find(']')) {
        (Some(open), Some(close)) if open < close => {
            (text.get(..=open)?, text.get(open + 1..close)?, text.get(close..)?)
        }
        _ => ("", text, ""),
    };
    match host.split_once('%') {
        Some((address, zone)) if address.parse::<Ipv6Addr>().is_ok() => {
            // An interface with the name 25 must therefore be written as 2525.
            let zone = zone.strip_prefix("25").filter(|zone| !zone.is_empty()).unwrap_or(zone);
            let is_zone = (1..=MAX_ZONE_BYTES).contains(&zone.len())
                && zone.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
            is_zone.then(|| (format!("{before}{address}{after}"), Some(zone.to_owned())))
        }
        _ => Some((text.to_owned(), None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_zone_after_an_address_is_split_off() {
        for (text, rest, zone) in [
            ("[fe80::1%25eth0]", "[fe80::1]", "eth0"),
            ("ws://u:p@[fe80::1%eth0]:6008/x", "ws://u:p@[fe80::1]:6008/x", "eth0"),
            ("fe80::1%eth0", "fe80::1", "eth0"),
            ("[fe80::1%2525]", "[fe80::1]", "25"),
            ("[fe80::1%25]", "[fe80::1]", "25"),
            ("[::1%1]:80", "[::1]:80", "1"),
        ] {
            assert_eq!(split(text), Some((rest.to_owned(), Some(zone.to_owned()))), "{text}");
        }
        for text in ["h.example/a%40b", "ws://u%40:p@h.example", "[::1]:80", "", "]%[", "a%b"] {
            assert_eq!(split(text), Some((text.to_owned(), None)), "{text}");
        }
        for text in ["[fe80::1%]", "fe80::1%a b", "[fe80::1%25a/b]", "[fe80::1%a%b]"] {
            assert_eq!(split(text), None, "{text}");
        }
    }
}
