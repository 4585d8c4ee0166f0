//! Addresses to listen on, and of DNS servers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::ValueError;

/// Parses `ADDRESS:PORT`, or a port alone, which listens on 127.0.0.1 only.
///
/// # Errors
/// [`ValueError::ListenAddress`] for anything else. A host name is an error, because it might
/// resolve to a public address.
pub fn parse_listen_address(text: &str) -> Result<SocketAddr, ValueError> {
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    text.parse().map_err(|_| ValueError::ListenAddress(text.to_owned()))
}

/// Parses the address of a DNS server. The default port is 53.
///
/// # Errors
/// [`ValueError::DnsServer`] for anything else. A name is an error, because no server could resolve
/// it.
pub fn parse_dns_server(text: &str) -> Result<SocketAddr, ValueError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::from((address, 53)));
    }
    text.parse().map_err(|_| ValueError::DnsServer(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dns_server_is_an_address() {
        let of = |text| parse_dns_server(text).map(|address| address.to_string());
        assert_eq!(of("1.1.1.1").unwrap(), "1.1.1.1:53");
        assert_eq!(of("::1").unwrap(), "[::1]:53");
        assert_eq!(of("127.0.0.1:5353").unwrap(), "127.0.0.1:5353");
        assert!(of("dns.example.com").is_err() && of("53").is_err());
    }

    #[test]
    fn a_port_alone_listens_on_the_loopback_address() {
        let of = |text| parse_listen_address(text).map(|address| address.to_string());
        assert_eq!(of("9464").unwrap(), "127.0.0.1:9464");
        assert_eq!(of("0.0.0.0:9464").unwrap(), "0.0.0.0:9464");
        assert_eq!(of("[::1]:0").unwrap(), "[::1]:0");
        for bad in ["", "localhost:9464", "127.0.0.1", ":9464", "65536", "1.2.3.4:x"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
