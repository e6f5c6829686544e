//! Which addresses a tool may reach: none of this machine, of its networks, of the cloud's metadata, unless it is said.
//!
//! Names are looked up by the guard itself, so that what is looked at is what is connected to.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error as ThisError;

use crate::agent::definition::AllowPrivate;

#[derive(Debug)]
pub(super) struct Guard {
    allowed: AllowPrivate,
}

/// A name of which only guarded addresses are known.
#[derive(Debug, ThisError)]
#[error("`{host}` is an address of a private network: name it under `allow_private` if it is meant to be asked")]
struct Private {
    host: String,
}

impl Guard {
    pub(super) fn new(allowed: AllowPrivate) -> Self {
        Self { allowed }
    }

    pub(super) fn allows_everything(&self) -> bool {
        self.allowed == AllowPrivate::Everything
    }

    /// Looks at an address that is written out; names are looked at when they are looked up.
    pub(super) fn admit(&self, url: &Url) -> Result<(), String> {
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        match host.parse::<IpAddr>() {
            Ok(address) if !self.lets_in(host) && !is_public(address) => {
                Err(Private { host: host.to_owned() }.to_string())
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn lets_in(&self, host: &str) -> bool {
        match &self.allowed {
            AllowPrivate::Nothing => false,
            AllowPrivate::Everything => true,
            AllowPrivate::Hosts(hosts) => hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host)),
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let lets_in = self.lets_in(&host);
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.filter(|address| lets_in || is_public(address.ip())).collect();
            if found.is_empty() {
                return Err(Box::from(Private { host }));
            }
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

/// What the guard said, if it is why a request failed.
pub(super) fn refusal(error: &reqwest::Error) -> Option<String> {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref::<Private>() {
            return Some(refusal.to_string());
        }
        cause = error.source();
    }
    None
}

/// Whether an address is one of the internet at large.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_of_this_machine = matches!(a, 0 | 127);
    let is_private = matches!((a, b), (10, _) | (172, 16..=31) | (192, 168) | (169, 254) | (100, 64..=127));
    let is_reserved = matches!((a, b, c), (192, 0, 0 | 2) | (192, 88, 99) | (198, 51, 100) | (203, 0, 113))
        || matches!((a, b), (198, 18 | 19) | (224..=255, _));
    !(is_of_this_machine || is_private || is_reserved)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // Addresses that stand for one of the older kind are judged as that one.
    let [_, _, _, _, _, _, high, low] = segments;
    let older = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        // Mapped, compatible (with `::` and `::1` among them), and translated ones.
        [0, 0, 0, 0, 0, 0xffff | 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_public_v4(older(high, low)),
        [0x2002, high, low, ..] => is_public_v4(older(high, low)),
        // Only what is given out as global unicast, without documentation, benchmarks and tunnels.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_at_large_are_public() {
        for (address, expected) in [
            ("1.1.1.1", true),
            ("93.184.216.34", true),
            ("172.15.0.1", true),
            ("100.128.0.1", true),
            ("127.0.0.1", false),
            ("127.9.9.9", false),
            ("0.0.0.0", false),
            ("10.0.0.8", false),
            ("172.31.255.255", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.100.100.200", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("2606:4700::1111", true),
            ("::1", false),
            ("::", false),
            ("fe80::1", false),
            ("fd00:ec2::254", false),
            ("fec0::1", false),
            ("ff02::1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:1.1.1.1", true),
            ("::127.0.0.1", false),
            ("64:ff9b::a00:1", false),
            ("2002:7f00:1::", false),
            ("2001:db8::1", false),
            ("2001::1", false),
        ] {
            assert_eq!(is_public(address.parse().expect(address)), expected, "{address}");
        }
    }

    #[test]
    fn an_address_that_is_written_out_is_looked_at() {
        let admits = |allowed: AllowPrivate, url: &str| Guard::new(allowed).admit(&Url::parse(url).expect(url)).is_ok();
        for url in ["http://127.0.0.1/", "http://[::1]:9/", "http://2130706433/", "http://0x7f.1/", "http://10.1/"] {
            assert!(!admits(AllowPrivate::Nothing, url), "{url}");
            assert!(admits(AllowPrivate::Everything, url), "{url}");
        }
        let hosts = AllowPrivate::Hosts(vec!["127.0.0.1".to_owned()]);
        assert!(admits(hosts.clone(), "http://127.0.0.1:80/") && !admits(hosts, "http://127.0.0.2/"));
        assert!(admits(AllowPrivate::Nothing, "http://1.1.1.1/"));
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_not_looked_up() {
        let name = || "localhost".parse::<Name>().expect("a name");
        assert!(Guard::new(AllowPrivate::Nothing).resolve(name()).await.is_err());
        let hosts = AllowPrivate::Hosts(vec!["LOCALHOST".to_owned()]);
        assert!(Guard::new(hosts).resolve(name()).await.is_ok());
    }
}
