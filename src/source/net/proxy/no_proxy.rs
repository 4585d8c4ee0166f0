//! Parses `NO_PROXY`, the list of hosts to reach directly. No I/O.
//!
//! As in curl, a name matches itself and all subdomains, leading and trailing dots are ignored,
//! an address may have a prefix length, and `*` matches everything. As in other programs, an entry
//! may have a port, and `*.NAME` matches only the subdomains of NAME. An invalid entry matches
//! nothing, so that the proxy is used.

use std::net::IpAddr;

/// The hosts to reach without a proxy.
#[derive(Debug, Default)]
pub struct NoProxy {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    hosts: Hosts,
    /// `None` for every port.
    port: Option<u16>,
}

#[derive(Debug, PartialEq, Eq)]
enum Hosts {
    All,
    /// A network: its address and its prefix length in bits.
    Network(IpAddr, u8),
    /// The subdomains of a name in lower case, and the name itself if the flag is set.
    Name(String, bool),
}

impl NoProxy {
    /// Parses a list with commas or white space between its entries.
    pub fn parse(list: &str) -> Self {
        let entries = list.split(|c: char| c == ',' || c.is_whitespace());
        Self { entries: entries.filter_map(entry).collect() }
    }

    /// Returns whether the list matches a host, which is a name or an address without brackets.
    pub fn matches(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let address: Option<IpAddr> = host.parse().ok();
        self.entries.iter().any(|entry| {
            entry.port.is_none_or(|only| only == port)
                && match (&entry.hosts, address) {
                    (Hosts::All, _) => true,
                    (Hosts::Network(network, bits), Some(address)) => {
                        is_in(address, *network, *bits)
                    }
                    (Hosts::Name(name, with_itself), None) => {
                        match host.strip_suffix(name.as_str()) {
                            Some("") => *with_itself,
                            Some(below) => below.ends_with('.'),
                            None => false,
                        }
                    }
                    _ => false,
                }
        })
    }
}

fn entry(text: &str) -> Option<Entry> {
    if text == "*" {
        return Some(Entry { hosts: Hosts::All, port: None });
    }
    if let Some(hosts) = network(text) {
        return Some(Entry { hosts, port: None });
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (text, None),
    };
    if let Some(hosts) = network(host) {
        return Some(Entry { hosts, port });
    }
    if host == "*" {
        return Some(Entry { hosts: Hosts::All, port });
    }
    let (name, with_itself) = match host.strip_prefix("*.") {
        Some(name) => (name, false),
        None => (host.strip_prefix('.').unwrap_or(host), true),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let is_name = !name.is_empty() && !name.contains(['*', ':', '/', '[', ']']);
    is_name.then_some(Entry { hosts: Hosts::Name(name, with_itself), port })
}

/// Parses an address, with or without brackets, and with or without a prefix length.
fn network(text: &str) -> Option<Hosts> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let inner = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address: IpAddr = inner.unwrap_or(address).parse().ok()?;
    let max_bits = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(max_bits);
    (bits <= max_bits).then_some(Hosts::Network(address, bits))
}

fn is_in(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let leading = |of: u128, width: u32| {
        let dropped = width.saturating_sub(u32::from(bits));
        of.checked_shr(dropped).unwrap_or(0)
    };
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let bits_of = |v4: std::net::Ipv4Addr| leading(u128::from(v4.to_bits()), 32);
            bits_of(address) == bits_of(network)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            leading(address.to_bits(), 128) == leading(network.to_bits(), 128)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(list: &str, matching: &[(&str, u16)], others: &[(&str, u16)]) {
        let no = NoProxy::parse(list);
        for (host, port) in matching {
            assert!(no.matches(host, *port), "{list:?} matches {host}:{port}");
        }
        for (host, port) in others {
            assert!(!no.matches(host, *port), "{list:?} does not match {host}:{port}");
        }
    }

    #[test]
    fn a_name_matches_itself_and_its_subdomains() {
        let matching =
            [("a.example", 443), ("x.a.example", 1), ("A.EXAMPLE", 443), ("a.example.", 443)];
        let others = [("ba.example", 443), ("example", 443), ("a.example.org", 443)];
        for list in [
            "a.example",
            ".a.example",
            "a.example.",
            "A.Example",
            " , b,a.example ,",
            "b a.example",
        ] {
            check(list, &matching, &others);
        }
        check(
            "*.a.example",
            &[("x.a.example", 1), ("y.x.a.example", 1)],
            &[("a.example", 1), ("xa.example", 1)],
        );
    }

    #[test]
    fn a_port_restricts_an_entry() {
        check(
            "a.example:8443",
            &[("a.example", 8443), ("x.a.example", 8443)],
            &[("a.example", 443)],
        );
        check("10.0.0.1:80", &[("10.0.0.1", 80)], &[("10.0.0.1", 81)]);
        check("[::2]:80", &[("::2", 80)], &[("::2", 81), ("::3", 80)]);
        check("*:80", &[("h", 80)], &[("h", 81)]);
    }

    #[test]
    fn addresses_and_networks_match_addresses() {
        check("10.0.0.0/8", &[("10.1.2.3", 1)], &[("11.0.0.1", 1), ("h10.0.0.0", 1)]);
        check("10.1.2.3", &[("10.1.2.3", 1)], &[("10.1.2.4", 1), ("x.10.1.2.3", 1)]);
        check(
            "fd00::/8, [2001:db8::1]",
            &[("fd12::1", 1), ("2001:db8::1", 1)],
            &[("fe80::1", 1), ("2001:db8::2", 1)],
        );
        check("0.0.0.0/0", &[("9.9.9.9", 1)], &[("::1", 1), ("h", 1)]);
        check("::/0", &[("2001::1", 1)], &[("1.1.1.1", 1)]);
    }

    #[test]
    fn a_star_alone_matches_everything_and_other_wildcards_nothing() {
        check("*", &[("h", 1), ("1.1.1.1", 1), ("::1", 1)], &[]);
        for list in
            ["", " ", "a*", "10.*", "10.0.0.0/33", "10.0.0.0/x", "a.example:x", "[::1", ".", "*."]
        {
            check(list, &[], &[("a.example", 1), ("10.0.0.1", 1), ("::1", 1), ("h", 1)]);
        }
    }

    proptest! {
        #[test]
        fn any_list_is_parsed(list in any::<String>(), host in "[a-z0-9.:]{0,12}", port in any::<u16>()) {
            let _ = NoProxy::parse(&list).matches(&host, port);
        }

        #[test]
        fn a_network_contains_its_own_address(address in any::<u32>(), bits in 0u8..=32) {
            let address = std::net::Ipv4Addr::from_bits(address).to_string();
            let no = NoProxy::parse(&format!("{address}/{bits}"));
            prop_assert!(no.matches(&address, 1));
        }
    }
}
